"""The comparison of two runs, with the interval that chance allows.

Both must have been tested on the same images. AP is computed again and again on images drawn with replacement, the
same ones for both runs; how its difference varies says how far it can be trusted (paired bootstrap, Efron, 1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.text import list_names, plural
from instseg.evaluation.bootstrap import ResampledAp
from instseg.evaluation.chance import LEVEL, MIN_IMAGES, bonferroni, is_beyond_chance, verdict
from instseg.evaluation.image_results import FILE_NAME, ImageResults, read_image_results
from instseg.evaluation.intervals import RESAMPLES, draw, interval
from instseg.runs.folders import folder_of

COMMON = "images=common compares them on those that all were tested on"
NAMES = ("one run", "the other")


@dataclass(frozen=True)
class Difference:
    """A difference in AP between two runs: above 0, the first is better."""

    one: float  # AP
    other: float
    low: float  # of the interval of (one - other)
    high: float
    num_images: int

    @property
    def value(self) -> float:
        """The first run's metric less the other's."""
        return self.one - self.other

    @property
    def is_clear(self) -> bool:
        """Tell whether the interval leaves out zero."""
        return is_beyond_chance(self.low, self.high)

    def __str__(self) -> str:
        """Return a text such as ``better by 0.021 (0.004 to 0.039)``."""
        if self.low == self.high == self.value == 0:
            return "exactly equal"
        sign = 1 if self.value >= 0 else -1
        low, high = sorted((sign * self.low, sign * self.high))
        word = "better" if sign > 0 else "worse"
        return f"{word} by {abs(self.value):.3f} ({low:.3f} to {high:.3f})"


def compare(
    one: ImageResults,
    other: ImageResults,
    metric: str,
    resamples: int = RESAMPLES,
    comparisons: int = 1,
    names: tuple[str, str] = NAMES,
) -> Difference:
    """Return the difference in AP between two runs, with its interval of 95 %.

    Args:
        one: test results of the first run.
        other: test results of the second run.
        metric: such as segm_map.
        resamples: number of draws of the bootstrap.
        comparisons: number of intervals that are to hold together, for which each is wider.
        names: of the two runs, for messages.

    Raises:
        InstsegError: the two cannot be compared.
    """
    check_comparable(one, other, names)
    measures = [ResampledAp(results.records, results.categories, metric) for results in (one, other)]
    whole = np.ones((1, len(one.records)), dtype=np.int64)
    values = [float(measure(whole)[0]) for measure in measures]
    if not all(map(math.isfinite, values)):
        raise InstsegError(f"{metric}: the test images have no instance to find, so there is nothing to compare")
    drawn = draw(len(one.records), resamples)
    low, high = interval(measures[0](drawn) - measures[1](drawn), len(one.records), bonferroni(comparisons))
    return Difference(values[0], values[1], low, high, len(one.records))


def check_comparable(one: ImageResults, other: ImageResults, names: tuple[str, str] = NAMES) -> None:
    """Check that two runs were tested on the same images, categories and ground truth.

    Args:
        one: what a run found.
        other: the same of the run to compare it with.
        names: of the two, for messages.

    Raises:
        InstsegError: they were not. The message names the difference.
    """
    one.categories.check_same(other.categories, *names)
    alone, others_alone = (set(a.file_names) - set(b.file_names) for a, b in ((one, other), (other, one)))
    if alone or others_alone:
        parts = zip(names, (sorted(alone), sorted(others_alone)), strict=True)
        said = "; ".join(f"only {run} on {len(files)}: {list_names(files, 3)}" for run, files in parts if files)
        raise InstsegError(f"the runs were tested on different images, and cannot be compared: {said}; {COMMON}")
    for a, b, name in zip(one.records, other.records, one.file_names, strict=True):
        same = np.array_equal(a.truth_labels, b.truth_labels) and np.array_equal(a.truth_areas, b.truth_areas)
        if a.image_id != b.image_id or not same or not np.array_equal(a.truth_iscrowd, b.truth_iscrowd):
            raise InstsegError(
                f"the labels of {name} are not the same in both runs: test both again on the labels of now"
            )
    if len(one.records) < MIN_IMAGES:
        raise InstsegError(
            f"{plural(len(one.records), 'test image')}: too few for a comparison, expected {MIN_IMAGES} or more. Test "
            "both runs on more labelled images, or compare over folds: sweep=kfold measures on every image"
        )


def on_common_images(of_runs: Sequence[ImageResults]) -> list[ImageResults]:
    """Return the results on the images that all runs were tested on, in the order of the first run.

    Args:
        of_runs: what each run found.

    Raises:
        InstsegError: there is no such image.
    """
    common = set.intersection(*(set(results.file_names) for results in of_runs))
    names = [name for name in of_runs[0].file_names if name in common]
    if not names:
        raise InstsegError("the runs were tested on no image in common")
    return [_on_images(results, names) for results in of_runs]


def _on_images(results: ImageResults, names: Sequence[str]) -> ImageResults:
    places = {name: place for place, name in enumerate(results.file_names)}
    records = [replace(results.records[places[name]], image_id=number) for number, name in enumerate(names, start=1)]
    return ImageResults(records, [*names], results.categories)


def read_run(run: Path) -> ImageResults:
    """Read the test results of a run, given by its folder or by a checkpoint in it.

    Raises:
        InstsegError: there is no such folder, or it has no test results.
    """
    folder = folder_of(run.expanduser())
    if not folder.is_dir():
        raise InstsegError(f"{folder}: no such run folder")
    return read_image_results(folder / FILE_NAME)


def compare_runs(one: Path, other: Path, metric: str, resamples: int = RESAMPLES, comparisons: int = 1) -> Difference:
    """Compare two run folders; see ``compare``.

    Args:
        one: folder of the first run, or a checkpoint in it.
        other: folder of the second run, or a checkpoint in it.
        metric: such as segm_map.
        resamples: number of draws of the bootstrap.
        comparisons: number of intervals that are to hold together.
    """
    return compare(read_run(one), read_run(other), metric, resamples, comparisons, (str(one), str(other)))


def sentence(difference: Difference, metric: str, one: str, other: str) -> str:
    """Return a sentence that says what a difference means.

    Args:
        difference: between two runs.
        metric: its name.
        one: name of the first run.
        other: name of the second run.
    """
    images = plural(difference.num_images, "test image")
    figures = f"{metric} {difference.one:.3f} and {difference.other:.3f} on the same {images}"
    said = "" if difference.low == difference.high == 0 else f" {verdict(difference.low, difference.high)}"
    return f"{one} against {other}: {difference}. {figures}, interval of {100 * LEVEL:g} %.{said}"
