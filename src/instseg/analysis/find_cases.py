"""Search for the cases of an evaluated set at the thresholds in use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.cases import Case, Kind
from instseg.analysis.costs import Costs
from instseg.core.arrays import Rows
from instseg.evaluation.assignment import Assignment, ious_of
from instseg.evaluation.confusion import BACKGROUND, Confusion
from instseg.evaluation.image_details import DetailsPool
from instseg.evaluation.image_record import MIN_IOU
from instseg.evaluation.one_to_one import NONE, take_first


def find_cases(pool: DetailsPool, assignment: Assignment, confusion: Confusion) -> list[Case]:
    """Return all cases, the most costly first; the larger object of equally costly ones.

    Each pair off the diagonal of the matrix is a case of confusion. What it counts as false and as missed is told
    apart: a false detection whose mask fits an object that is found already repeats it; another one whose mask overlaps
    a missed object of its category means that object.

    Args:
        pool: the images.
        assignment: of all detections.
        confusion: of the detections at the thresholds.
    """
    found = _Found(pool, assignment, confusion)
    cases = [*found.confused(), *found.wrong(), *found.missed()]
    sizes = _box_areas(pool)
    order = sorted(cases, key=lambda one: (-one[0].cost, 0.0 if one[1] == NONE else -sizes[one[1]]))
    return [case for case, _ in order]


def _box_areas(pool: DetailsPool) -> list[float]:
    boxes = np.concatenate([np.zeros((0, 4)), *(details.truth_boxes for details in pool.details)])
    areas: list[float] = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).tolist()
    return areas


class _Found:
    """Rows of the pool that the matrix does not have on its diagonal."""

    def __init__(self, pool: DetailsPool, assignment: Assignment, confusion: Confusion) -> None:
        self.pool, self.assignment, self.costs = pool, assignment, Costs.of(pool, assignment)
        cases = confusion.cases
        is_alone, is_unfound = cases.truth_labels == BACKGROUND, cases.labels == BACKGROUND
        is_confused = ~is_alone & ~is_unfound & (cases.truth_labels != cases.labels)
        columns = (cases.detections, cases.truths, cases.ious)
        self._confused = list(zip(*(column[is_confused].tolist() for column in columns), strict=True))
        self.alone, self.unfound = cases.detections[is_alone], cases.truths[is_unfound]
        self.repeated, self.repeated_ious = self._best_found()
        self.touched = self._touched()

    def _touched(self) -> Rows:
        """Return the missed object that each detection alone means, (D,); the best score chooses first.

        One that fits a found object repeats that, even where it also overlaps a missed neighbour.
        """
        pool, near = self.pool, self.pool.near
        is_alone, is_unfound = _flags(len(pool.images), self.alone), _flags(len(pool.truth_images), self.unfound)
        same = pool.rows.labels[near.detections] == pool.rows.truth_labels[near.truths]
        is_free = is_alone & (self.repeated_ious < MIN_IOU)
        pairs = np.flatnonzero(is_free[near.detections] & is_unfound[near.truths] & same)
        order = pairs[np.lexsort((-near.ious[pairs], -pool.rows.scores[near.detections[pairs]]))]
        return take_first(near.detections[order], near.truths[order], len(is_alone), len(is_unfound))

    def confused(self) -> Iterator[tuple[Case, int]]:
        for detection, truth, iou in self._confused:
            yield self._case(Kind.CONFUSED, detection, truth, iou), truth

    def wrong(self) -> Iterator[tuple[Case, int]]:
        touched_ious = ious_of(self.pool.near, self.touched)
        for detection in self.alone.tolist():
            if (truth := int(self.touched[detection])) != NONE:
                yield self._case(Kind.BAD_MASK, detection, truth, float(touched_ious[detection])), truth
            elif self.repeated_ious[detection] >= MIN_IOU:
                truth = int(self.repeated[detection])
                yield self._case(Kind.REPEATED, detection, truth, float(self.repeated_ious[detection])), truth
            else:
                yield self._case(Kind.FALSE, detection, NONE), NONE

    def missed(self) -> Iterator[tuple[Case, int]]:
        below = np.full(len(self.pool.truth_images), NONE)  # what finds it, below the threshold
        is_match = self.assignment.truths != NONE
        below[self.assignment.truths[is_match]] = np.flatnonzero(is_match)
        touched = set(self.touched.tolist())
        for truth in self.unfound.tolist():
            if truth not in touched:
                yield self._case(Kind.MISSED, int(below[truth]), truth), truth

    def _best_found(self) -> tuple[Rows, NDArray[np.float64]]:
        """Return the instance that fits each detection best, (D,), whatever its category, and its IoU."""
        near, count = self.pool.near, len(self.pool.images)
        pairs = np.flatnonzero(~self.pool.rows.truth_iscrowd[near.truths])
        pairs = pairs[np.argsort(near.ious[pairs], kind="stable")]  # what is written last stays
        truths, ious = np.full(count, NONE), np.zeros(count)
        truths[near.detections[pairs]], ious[near.detections[pairs]] = near.truths[pairs], near.ious[pairs]
        return truths, ious

    def _case(self, kind: Kind, detection: int, truth: int, iou: float = 0.0) -> Case:
        pool = self.pool
        image = int(pool.images[detection] if truth == NONE else pool.truth_images[truth])
        cost = 0.0 if kind == Kind.MISSED else float(self.costs.false[detection])
        if kind in (Kind.MISSED, Kind.CONFUSED, Kind.BAD_MASK):
            cost += float(self.costs.missed[truth])
        return Case(
            kind,
            image,
            None if truth == NONE else int(pool.truth_rows[truth]),
            None if detection == NONE else int(pool.predicted_rows[detection]),
            iou,
            cost,
        )


def right_of(confusion: Confusion) -> dict[int, dict[int, bool]]:
    """Return image -> row of each detection at the thresholds -> whether it is right; those in crowds are left out."""
    right: defaultdict[int, dict[int, bool]] = defaultdict(dict)
    cases = confusion.cases
    is_right = cases.truth_labels == cases.labels
    for image, row, one in zip(cases.images.tolist(), cases.predicted_rows.tolist(), is_right.tolist(), strict=True):
        if row != NONE:
            right[image][row] = one
    return right


def _flags(length: int, rows: Rows) -> NDArray[np.bool_]:
    flags = np.zeros(length, np.bool_)
    flags[rows] = True
    return flags
