"""Matching of detections to instances as in pycocotools' ``COCOeval``, for all images at once.

Within an image and a category the detections choose one after the other, best score first, separately at every IoU
threshold and area range (Lin et al., 2014, https://cocodataset.org/#detection-eval). Images and categories are
independent, so one vectorized step handles the best detection of each, the next step the second best, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Rows
from instseg.evaluation.image_record import MIN_IOU, ImageRecord, Overlaps

IOU_THRESHOLDS = np.linspace(MIN_IOU, 0.95, 10)
AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # px²
UNMATCHED, IGNORED, FOUND = 0, 1, 2
STEP_SIZE = 2048  # detections

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(eq=False, slots=True)
class Pool:
    """The rows of all images, concatenated: G of ground truth, D of detections."""

    truth_starts: NDArray[np.int64]  # (images,) the first row of each image
    truth_labels: NDArray[np.int64]  # (G,)
    truth_iscrowd: NDArray[np.bool_]  # (G,)
    truth_ignored: NDArray[np.bool_]  # (G, AREAS or other groups) crowds, and instances outside the range or group
    starts: NDArray[np.int64]  # (images,)
    labels: NDArray[np.int64]  # (D,) ascending within an image
    scores: NDArray[np.float64]  # (D,) descending within an image and label
    ranks: NDArray[np.int64]  # (D,) 0 for the best one of its image and label
    order: NDArray[np.int64]  # (D,) the rows by label, best score first, equal ones in the order of the images

    @classmethod
    def of(cls, images: Sequence[ImageRecord]) -> Pool:
        """Concatenate the rows of the images."""
        iscrowd = _joined([image.truth_iscrowd for image in images], np.bool_)
        within = within_areas(_joined([image.truth_areas for image in images], np.float64))
        labels = _joined([image.labels for image in images], np.int64)
        sizes = [len(image.labels) for image in images]
        scores = _joined([image.scores for image in images], np.float64)
        groups = np.repeat(np.arange(len(images)), sizes) * (labels.max(initial=0) + 1) + labels
        return cls(
            truth_starts=_starts([len(image.truth_labels) for image in images]),
            truth_labels=_joined([image.truth_labels for image in images], np.int64),
            truth_iscrowd=iscrowd,
            truth_ignored=iscrowd[:, None] | ~within,
            starts=_starts(sizes),
            labels=labels,
            scores=scores,
            ranks=np.arange(len(groups)) - np.searchsorted(groups, groups),
            order=np.lexsort((-scores, labels)),
        )

    def of_boxes(self, images: Sequence[ImageRecord]) -> Pool:
        """Return the pool for boxes, to which instances without a mask are no crowds.

        Args:
            images: of the pool.
        """
        is_box_only = _joined([image.truth_is_box_only for image in images], np.bool_)
        if not is_box_only.any():
            return self
        iscrowd = self.truth_iscrowd & ~is_box_only
        within = within_areas(_joined([image.truth_areas for image in images], np.float64))
        return replace(self, truth_iscrowd=iscrowd, truth_ignored=iscrowd[:, None] | ~within)

    def images(self) -> NDArray[np.int64]:
        """Return the image of each detection, (D,)."""
        return _owners(self.starts, len(self.labels))

    def truth_images(self) -> NDArray[np.int64]:
        """Return the image of each instance, (G,)."""
        return _owners(self.truth_starts, len(self.truth_labels))

    def overlaps(self, of_images: Sequence[Overlaps]) -> Overlaps:
        """Concatenate the overlaps of the images; the rows they name become those of the pool."""
        sizes = [len(one.ious) for one in of_images]
        return Overlaps(
            _joined([one.areas for one in of_images], np.float64),
            _joined([one.detections for one in of_images], np.int64) + np.repeat(self.starts, sizes),
            _joined([one.truths for one in of_images], np.int64) + np.repeat(self.truth_starts, sizes),
            _joined([one.ious for one in of_images], np.float64),
        )


def _starts(sizes: list[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *sizes])[:-1]


def _owners(starts: NDArray[np.int64], num_rows: int) -> NDArray[np.int64]:
    return np.searchsorted(starts, np.arange(num_rows), side="right") - 1


def _joined(columns: list[NDArray[Scalar]], dtype: type[Scalar]) -> NDArray[Scalar]:
    return np.concatenate(columns) if columns else np.zeros(0, dtype)


def within_areas(areas: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the ranges that contain each area.

    Args:
        areas: (N,) px².

    Returns:
        (N, AREAS) bool; an area on the border of two ranges is in both.
    """
    low, high = np.array(list(AREAS.values())).T
    outside: NDArray[np.bool_] = (areas[:, None] < low) | (areas[:, None] > high)
    return ~outside


@dataclass(eq=False, slots=True)
class Matches:
    """Outcomes of the M detections that overlap ground truth of their label; all others match nothing."""

    detections: NDArray[np.int64]  # (M,) rows of the pool
    outcomes: NDArray[np.uint8]  # (M, IOU_THRESHOLDS, groups) UNMATCHED, IGNORED (matches ignored ground truth), FOUND
    ious: NDArray[np.float64]  # (M,) with the instance found at the lowest threshold in the first group; else 0


def match(pool: Pool, overlaps: Overlaps) -> Matches:
    """Match the detections to the ground truth.

    At each threshold a detection takes the free ground truth with the highest IoU among those that overlap it enough,
    and an ignored one only if there is no other. A crowd may be matched any number of times.

    Args:
        pool: the images, with the groups of its ``truth_ignored``: the ranges of areas or others.
        overlaps: pairs of its rows, of boxes or of masks.
    """
    ranks, num_groups = pool.ranks[overlaps.detections], pool.truth_ignored.shape[1]
    # pairs of a detection by ascending IoU; of equal IoUs pycocotools takes the later one
    order = np.lexsort((overlaps.truths, overlaps.ious, overlaps.detections, ranks))
    detections, truths, ious = overlaps.detections[order], overlaps.truths[order], overlaps.ious[order]
    firsts = np.flatnonzero(np.diff(detections, prepend=-1))  # the first pair of each detection
    matches = Matches(
        detections=detections[firsts],
        outcomes=np.zeros((len(firsts), len(IOU_THRESHOLDS), num_groups), dtype=np.uint8),
        ious=np.zeros(len(firsts)),
    )
    taken = np.zeros((len(pool.truth_labels), len(IOU_THRESHOLDS), num_groups), dtype=np.bool_)
    bounds = np.append(firsts, len(detections))
    for step in _steps(ranks[order][firsts]):
        pairs = slice(bounds[step.start], bounds[step.stop])
        choice = _choose(pool, truths[pairs], ious[pairs], firsts[step] - firsts[step.start], taken)
        matches.outcomes[step], matches.ious[step] = choice
    return matches


def _steps(ranks: NDArray[np.int64]) -> Iterator[slice]:
    """Yield slices of equal rank, ascending; at most STEP_SIZE long, so that the arrays of a step stay in the cache."""
    bounds = [*np.flatnonzero(np.diff(ranks, prepend=-1)).tolist(), len(ranks)]
    for start, end in pairwise(bounds):
        yield from (slice(first, min(first + STEP_SIZE, end)) for first in range(start, end, STEP_SIZE))


def _choose(
    pool: Pool, truths: Rows, ious: NDArray[np.float64], firsts: Rows, taken: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return ``outcomes`` and ``ious`` of the detections whose pairs begin at ``firsts``, and mark what they take."""
    size = len(truths)
    preference = np.arange(1, size + 1)[:, None] + size * ~pool.truth_ignored[truths]  # (pairs, groups)
    possible = (ious[:, None] >= IOU_THRESHOLDS)[:, :, None] & ~taken[truths]
    best = np.maximum.reduceat(np.where(possible, preference[:, None], 0), firsts)  # 0 where nothing is possible
    outcomes = (best > 0).astype(np.uint8) + (best > size)
    winners = (best - 1) % size
    at = np.nonzero(outcomes)
    chosen = truths[winners[at]]
    taken[chosen, at[1], at[2]] = ~pool.truth_iscrowd[chosen]
    return outcomes, np.where(outcomes[:, 0, 0] == FOUND, ious[winners[:, 0, 0]], 0)
