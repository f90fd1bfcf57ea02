"""Claim: the interval of the AP difference of two runs holds the true difference in about 95 % of cases.

    python benchmarks/bootstrap_coverage.py

Two made-up networks are tested again and again on as many new images as a user might have; images and instances are
hard or easy for both. Their true AP are those on 24,000 images. Counted is how often the interval of
``instseg.sweeps.comparison`` holds the true difference, and how often plain bootstrap percentiles would have. The
number behind ± is the standard error of the counting. "bias" is the mean of the measured differences less the true
one: AP itself is too high or low on few images, and in a difference of two runs most of that goes out.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from made_results import made_pair
from numpy.typing import NDArray

from comparing import Row, figure, main
from instseg.core.categories import Categories
from instseg.evaluation.bootstrap import ResampledAp
from instseg.evaluation.chance import LEVEL
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.intervals import draw, interval
from instseg.evaluation.metrics import evaluate_records

CATEGORIES = Categories(("car", "dog"))
METRIC = "segm_map"
RESAMPLES = 1000
POPULATION = 6000, 4  # images, times
SETTINGS = ((10, 0.4), (20, 0.4), (30, 0.4), (30, 0.0), (60, 0.4), (120, 0.4), (120, 0.0))  # images, better by
QUICK = ((10, 0.4), (30, 0.4))


class Trial(NamedTuple):
    measured: float
    ours: tuple[float, float]
    percentiles: tuple[float, float]


def measure(arguments: Namespace) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    trials = 100 if arguments.quick else 500
    truths = {gap: true_difference(rng, gap) for gap in sorted({gap for _, gap in SETTINGS})}
    for num_images, gap in QUICK if arguments.quick else SETTINGS:
        tried = [trial for _ in range(trials) if (trial := try_once(rng, num_images, gap))]
        yield _row(num_images, truths[gap], tried)


def true_difference(rng: np.random.Generator, gap: float) -> float:
    """Of the AP on very many images; also checks that AP of no resampling is the metric's own."""
    num_images, times = POPULATION
    return float(np.mean([_difference_once(*made_pair(rng, num_images, gap)) for _ in range(times)]))


def _difference_once(one: list[ImageRecord], other: list[ImageRecord]) -> float:
    whole = np.ones((1, len(one)), dtype=np.int64)
    values = [float(ResampledAp(records, CATEGORIES, METRIC)(whole)[0]) for records in (one, other)]
    if values != [evaluate_records(records, CATEGORIES)[METRIC] for records in (one, other)]:
        raise SystemExit("AP of images drawn once each differs from the metric's own")
    return values[1] - values[0]


def try_once(rng: np.random.Generator, num_images: int, gap: float) -> Trial | None:
    """None where the few images happen to show nothing."""
    one, other = made_pair(rng, num_images, gap)
    drawn = draw(num_images, RESAMPLES)
    measures = [ResampledAp(records, CATEGORIES, METRIC) for records in (one, other)]
    measured: NDArray[np.float64] = measures[1](drawn) - measures[0](drawn)
    if np.isnan(measured).all():
        return None
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(measured, [tail, 1 - tail])
    return Trial(_difference_once(one, other), interval(measured, num_images), (float(low), float(high)))


def _row(num_images: int, truth: float, tried: list[Trial]) -> Row:
    bias = np.mean([trial.measured for trial in tried]) - truth
    ours, plain = (_coverage([trial[side] for trial in tried], truth) for side in (1, 2))  # type: ignore[misc]
    what = f"{num_images} test images, true difference {truth:.3f}"
    return figure(what, ours, f"{LEVEL:.0%}", f"plain percentiles {plain}", f"bias {bias:+.4f}")


def _coverage(intervals: list[tuple[float, float]], truth: float) -> str:
    share = float(np.mean([low <= truth <= high for low, high in intervals]))
    width = float(np.mean([high - low for low, high in intervals]))
    return f"{100 * share:.1f} ± {100 * math.sqrt(share * (1 - share) / len(intervals)):.1f} %, width {width:.3f}"


if __name__ == "__main__":
    main(__doc__, measure)
