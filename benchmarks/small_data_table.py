"""The board of ``small_data.py`` as tables: each training is a line of json."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from resumable import read_lines
from scipy.stats import t as student


@dataclass(frozen=True)
class Training:
    """A line of the file."""

    dataset: str
    images: str
    start: str
    seed: int
    budget_cpu_s: float
    ap: float
    low: float
    high: float
    ap_50: float
    num_images: int
    num_test_images: int
    steps: int
    seconds: float  # of a clock
    peak_mb: float

    @property
    def key(self) -> tuple[object, ...]:
        return self.dataset, self.images, self.start, self.seed, self.budget_cpu_s


def read(file: Path) -> list[Training]:
    return read_lines(file, Training)


def table(trainings: Sequence[Training]) -> Iterator[str]:
    """A Markdown table: for each set, number of images and start the mean over the seeds."""
    yield "| set | images | start | AP (95 % of the test images) | AP of each seed | AP50 | steps | CPU s | memory |"
    yield "|---|---|---|---|---|---|---|---|---|"
    order = sorted(trainings, key=lambda t: (t.dataset, t.num_images, t.budget_cpu_s, t.start, t.seed))
    for group, same in groupby(order, key=lambda t: (t.dataset, t.num_images, t.start, t.budget_cpu_s)):
        runs = list(same)
        ap, low, high, ap_50, steps, peak = (
            statistics.mean(getattr(one, name) for one in runs)
            for name in ("ap", "low", "high", "ap_50", "steps", "peak_mb")
        )
        each = ", ".join(f"{one.ap:.3f}" for one in runs)
        yield (
            f"| {group[0]} ({runs[0].num_test_images} tested) | {group[1]} | {group[2]} | {ap:.3f} ({low:.3f} to "
            f"{high:.3f}) | {each} | {ap_50:.3f} | {steps:.0f} | {group[3]:g} | {peak:.0f} MB |"
        )


def differences(trainings: Sequence[Training], first: str) -> Iterator[str]:
    """A Markdown table: how far other starts are ahead of the first, with Student's interval of 95 % over the seeds."""
    yield f"| set | images | CPU s | start | AP more than {first} |"
    yield "|---|---|---|---|---|"
    ap = {training.key: training.ap for training in trainings}
    others = (one for one in trainings if one.start != first)
    order = sorted(others, key=lambda t: (t.dataset, t.num_images, t.budget_cpu_s, t.start, t.seed))
    for group, same in groupby(order, key=lambda t: (t.dataset, t.images, t.budget_cpu_s, t.start)):
        bases = [(one, (one.dataset, one.images, first, one.seed, one.budget_cpu_s)) for one in same]
        more = [one.ap - ap[base] for one, base in bases if base in ap]
        if more:
            dataset, images, seconds, start = group
            yield f"| {dataset} | {images} | {seconds:g} | {start} | {mean_with_interval(more)} |"


def mean_with_interval(values: Sequence[float]) -> str:
    """``+0.120 (+0.050 to +0.190)``; without an interval where there is one value."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:+.3f}"
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:+.3f} ({mean - half:+.3f} to {mean + half:+.3f})"
