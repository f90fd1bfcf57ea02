"""Claim: no stage costs more than in proportion to what there is of anything: images, instances, pixels, categories.

    python benchmarks/growth.py --figures docs         # also draws growth_labels.png and growth_training.png there
    python benchmarks/growth.py --part training        # half of it

Each stage is measured at four sizes of one thing while all others stay as they are, each size in a process of its own
on one thread: the fastest of some runs, and by how much the resident memory rises at most, after a run at the smallest
size. The order of a curve is the exponent k of "cost grows as size^k", fitted to its three largest sizes. Where one
exceeds what is expected it is marked as growing TOO FAST, and the script ends with an error. What stays below 10 ms or
8 MB at all sizes is not judged.
"""

from __future__ import annotations

import gc
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import growth_stages as stages
from growth_figures import draw
from growth_folders import Setup
from growth_points import Curve
from processes import apart, cost

from comparing import Row, figure, main, parser

IMAGES, FEW, INSTANCES = (30, 120, 480, 1920), (1, 2, 4, 8), (4, 16, 64, 256)
SIDES, LARGE_SIDES, CATEGORIES = (96, 192, 384, 768), (128, 256, 512, 1024), (8, 32, 128, 512)
MAX_RUNS, ENOUGH_SECONDS = 5, 0.3


Measure = Callable[[Setup, Setup, Path], tuple[float, float]]


@dataclass(frozen=True)
class Stage:
    """What is measured, of which sizes, and what else there is meanwhile.

    Costs are expected to grow in proportion, with order 1, but where ``orders`` gives those of time and memory.
    """

    name: str
    measure: Measure  # (setup, that of the smallest size, scratch folder) -> seconds, MB
    setup: Setup
    sizes: Mapping[str, Sequence[int]]
    orders: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def warmed_up(prepare: stages.Prepare, setup: Setup, smallest: Setup, scratch: Path) -> tuple[float, float]:
    """Seconds of the fastest run and MB of the first, after one of the smallest size, which has to load libraries."""
    stages.single_threaded()
    prepare(smallest, scratch)()
    call = prepare(setup, scratch)
    gc.freeze()  # what was made for the measurement is nothing that the collector would have to visit
    runs = [cost(call)]
    while len(runs) < MAX_RUNS and sum(seconds for seconds, _ in runs) < ENOUGH_SECONDS:
        runs.append(cost(call))
    return min(seconds for seconds, _ in runs), runs[0][1]


def stage(
    name: str,
    prepare: stages.Prepare,
    setup: Setup,
    sizes: Mapping[str, Sequence[int]],
    orders: Mapping[str, tuple[float, float]] | None = None,
) -> Stage:
    return Stage(name, partial(warmed_up, prepare), setup, sizes, orders or {})


SAME = (0.0, 0.0)
COUNTS = {"images": IMAGES, "instances": INSTANCES}
CATEGORIES_TOO, ALL = COUNTS | {"categories": CATEGORIES}, COUNTS | {"side": SIDES, "categories": CATEGORIES}
BATCHES = {"images": (8, 16, 32, 64), "instances": INSTANCES, "side": SIDES}
NETWORK = {"images": FEW, "instances": INSTANCES, "side": LARGE_SIDES, "categories": CATEGORIES}
SOME, ONE, EVALUATED = Setup(images=60), Setup(images=1, side=256), Setup(images=60, categories=80)
PARTS: dict[str, tuple[str, tuple[Stage, ...]]] = {
    "labels": (
        "From labels to the index",
        (
            stage("reading COCO", stages.reading("coco"), SOME, CATEGORIES_TOO),
            stage("reading LabelMe", stages.reading("labelme"), SOME, COUNTS),
            stage("reading masks", stages.reading("mask_folder"), SOME, COUNTS | {"side": SIDES}),
            stage("building the index", stages.building, SOME, ALL),
            stage("opening it again", stages.opening, SOME, ALL, dict.fromkeys(ALL, SAME)),
            stage("audit", stages.auditing, SOME, ALL),
        ),
    ),
    "training": (
        "From the index to losses, predictions and AP",
        (
            stage("loading 4 samples", stages.loading, SOME, ALL, {"images": SAME, "categories": SAME}),
            stage("collating a batch", stages.collating, Setup(images=16), BATCHES),
            stage("training step", stages.training, ONE, NETWORK),
            stage("inference", stages.inferring, replace(ONE, instances=64), NETWORK),
            stage("evaluation: update", stages.updating, EVALUATED, CATEGORIES_TOO, {"categories": SAME}),
            stage("evaluation: compute", stages.computing, EVALUATED, CATEGORIES_TOO),
            Stage(
                "loader processes", stages.in_workers, Setup(240), {"workers": (1, 2, 4, 8)}, {"workers": (0.0, 1.0)}
            ),
        ),
    ),
}
"""Name -> the title of its picture, whose rows are these stages."""


def curves_of(one: Stage, scratch: Path, chosen: slice) -> Iterator[Curve]:
    for grows, all_sizes in one.sizes.items():
        sizes = all_sizes[chosen]
        setups = [replace(one.setup, **{grows: size}) for size in sizes]
        points = [apart(one.measure, setup, setups[0], scratch) for setup in setups]
        seconds, megabytes = zip(*points, strict=True)
        counted = [float(size**2 if grows == "side" else size) for size in sizes]
        yield Curve(one.name, grows, counted, seconds, megabytes, *one.orders.get(grows, (1.0, 1.0)))


def rows_of(curves: Sequence[Curve]) -> Iterator[Row]:
    for curve in curves:
        expected = " and ".join(f"{order:g}" for order in dict.fromkeys((curve.time_order, curve.memory_order)))
        verdict = "GROWS TOO FAST" if curve.is_too_fast else "no faster than expected"
        what = f"{curve.stage}: {curve.axis} {curve.range()}"
        yield figure(what, curve.told(), f"order {expected}", agree=verdict)


def short_row(curves: Sequence[Curve]) -> Row:
    """Of a stage only the curve that comes closest to what is expected, or exceeds it most."""
    worst = max(curves, key=lambda curve: curve.excess)
    return replace(next(rows_of([worst])), what=f"growth of {worst.stage}, at most with {worst.axis} {worst.range()}")


def measure(arguments: Namespace, too_fast: list[Curve]) -> Iterator[Row]:
    chosen = slice(0, 3, 2) if arguments.quick else slice(None)
    with TemporaryDirectory() as scratch:
        for part in [arguments.part] if arguments.part else PARTS:
            title, rows_of_figure = PARTS[part]
            curves: list[Curve] = []
            for one in rows_of_figure:
                found = list(curves_of(one, Path(scratch), chosen))
                yield from [short_row(found)] if arguments.quick else rows_of(found)
                curves += found
            too_fast += [curve for curve in curves if curve.is_too_fast]
            if arguments.figures:
                draw(curves, title, arguments.figures / f"growth_{part}.png")


if __name__ == "__main__":
    found: list[Curve] = []
    options = parser(__doc__)
    options.add_argument("--figures", type=Path, help="also draw the curves into this folder")
    options.add_argument("--part", choices=list(PARTS), help="these stages alone")
    main(__doc__, partial(measure, too_fast=found), options)
    if found:
        raise SystemExit("grows too fast: " + ", ".join(f"{curve.stage} with {curve.axis}" for curve in found))
