"""What all benchmarks share: both sides alternately in one process, ratios with their spread, a results file.

A script has ``measure(arguments) -> Iterator[Row]`` and ends with ``main(__doc__, measure)``, which adds the options
``--quick``, ``--device``, ``--repeats`` and ``--results``. On a machine that does other things as well, absolute
seconds vary by a factor; the ratio of two sides timed one right after the other varies little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from instseg.runs.environment import cpu_model

PACKAGES: tuple[str, ...] = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "pycocotools")
PACKAGES += ("faster-coco-eval", "albumentations", "opencv-python-headless", "numpy", "pillow")


@dataclass(frozen=True)
class Row:
    """One line of a table: what was measured, both sides, their ratio, and how far the results agree."""

    what: str
    ours: str  # with its unit: "0.61 s/image"
    against: str  # name and figure of the other side: "torchvision 1.63 s/image"; "" where there is none
    ratio: float | None  # median of (other side / ours), pairwise: above 1, ours is the better one
    low: float | None  # of the pairs' ratios, the lowest
    high: float | None
    goal: str  # "2.5x or more"; "" where there is none
    agreement: str  # "losses within 3e-7"; "" where nothing can be compared


def compared(
    what: str, against: str, ours: Sequence[float], theirs: Sequence[float], unit: str, goal: str = "", agree: str = ""
) -> Row:
    """A row from figures taken alternately, of which less is better; figure i of both sides make a pair."""
    ratios = sorted(other / own for own, other in zip(ours, theirs, strict=True))
    return Row(
        what,
        f"{statistics.median(ours):.3g} {unit}",
        f"{against} {statistics.median(theirs):.3g} {unit}",
        statistics.median(ratios),
        ratios[0],
        ratios[-1],
        goal,
        agree,
    )


def figure(what: str, value: str, goal: str = "", against: str = "", agree: str = "") -> Row:
    """A row without another side to divide by."""
    return Row(what, value, against, None, None, None, goal, agree)


def alternately(
    contenders: Mapping[str, Callable[[], object]], repeats: int, warm_up: int = 1, device: str = "cpu"
) -> dict[str, list[float]]:
    """Seconds of each call; one call of every contender, in turn, ``repeats`` times after the warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(warm_up + repeats):
        for name, call in contenders.items():
            taken = timed(call, device)
            if repeat >= warm_up:
                seconds[name].append(taken)
    return seconds


def timed(call: Callable[[], object], device: str = "cpu") -> float:
    """Seconds of one call, until the device has finished it."""
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - start


def synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def hardware(device: str) -> list[str]:
    """What the figures depend on: processor, cores, memory, accelerator, versions."""
    lines = [
        f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores, {torch.get_num_threads()} torch threads, "
        f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
    ]
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        lines.append(f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}")
    return [*lines, ", ".join([f"Python {platform.python_version()}", *_versions()])]


def _versions() -> Iterator[str]:
    for name in PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def table(rows: Sequence[Row]) -> list[str]:
    """The rows as a Markdown table whose columns line up in a terminal, too."""
    header = ["what", "ours", "against", "ratio", "lowest to highest", "goal", "results agree"]
    cells = [header, *([r.what, r.ours, r.against, *_ratio(r), r.goal, r.agreement] for r in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _ratio(row: Row) -> tuple[str, str]:
    if row.ratio is None:
        return "", ""
    spread = "once" if row.low == row.high else f"{row.low:.3g} to {row.high:.3g}"
    return f"{row.ratio:.3g}x", spread


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all scripts have."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="a smaller size, for the table of benchmarks/run.py")
    options.add_argument("--device", default="cpu", help="cpu or cuda")
    options.add_argument("--repeats", type=int, default=5, help="how often each side is timed")
    options.add_argument("--results", type=Path, help="also write hardware, versions and the table to this file")
    options.add_argument("--rows", type=Path, help="also write the rows to this json")
    return options


def main(
    description: str | None,
    measure: Callable[[argparse.Namespace], Iterator[Row]],
    options: argparse.ArgumentParser | None = None,
) -> None:
    """Parse the command line, measure, print the rows as they come and the table at the end, write the files."""
    arguments = (options or parser(description)).parse_args()
    rows = []
    for row in measure(arguments):
        rows.append(row)
        print("  ".join(filter(None, [row.what, row.ours, row.against, *_ratio(row), row.agreement])), flush=True)
        if arguments.rows:  # each at once: what comes later may fail
            arguments.rows.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    lines = [*hardware(arguments.device), "", *table(rows)]
    print("\n" + "\n".join(lines))
    if arguments.results:
        arguments.results.write_text("\n".join(lines) + "\n")
