"""Quality of masks at chosen score thresholds: panoptic quality (Kirillov et al., 2019), and Dice of what is found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Floats
from instseg.core.categories import Categories
from instseg.evaluation.assignment import Assignment
from instseg.evaluation.estimates import Estimate, estimates, ratios
from instseg.evaluation.image_details import DetailsPool
from instseg.evaluation.one_to_one import NONE
from instseg.evaluation.resampling import Weights

ALL = "all"
PANOPTIC_IOU = 0.5
"""A match needs more than this, so that no two segments of a partition can match one."""


@dataclass(frozen=True, slots=True)
class MaskQuality:
    """Numbers of one category, or their mean over all that have an instance or a detection; NaN where undefined.

    ``panoptic`` is ``segmentation`` times ``recognition``. Instances may overlap here, where a panoptic segmentation is
    a partition; where they do not, the numbers are those of panopticapi.
    """

    category: str
    panoptic: Estimate  # PQ: sum of the IoUs of matches / (matches + half of the wrong + half of the missed)
    segmentation: Estimate  # SQ: mean IoU of the matches
    recognition: Estimate  # RQ: F1 of the matches
    dice: Estimate  # mean Dice coefficient of the matches
    num_matches: int
    num_wrong: int
    num_missed: int


@dataclass(eq=False, slots=True)
class _Sums:
    """Sums of each image and category, (images, categories)."""

    ious: Floats
    dice: Floats
    matches: Floats
    wrong: Floats
    missed: Floats

    def numbers(self, weights: Weights) -> Floats:
        """Return (R, 4, categories + 1): PQ, SQ, RQ and Dice, of their mean first."""
        ious, dice, matches, wrong, missed = (
            weights @ sums for sums in (self.ious, self.dice, self.matches, self.wrong, self.missed)
        )
        size = matches + wrong / 2 + missed / 2
        each = np.stack([ratios(ious, size), ratios(ious, matches), ratios(matches, size), ratios(dice, matches)], 1)
        return np.concatenate([_mean_defined(each), each], axis=2)


def mask_quality(
    pool: DetailsPool, assignment: Assignment, kept: NDArray[np.bool_], categories: Categories, drawn: Weights
) -> list[MaskQuality]:
    """Measure the masks of the detections that are kept.

    Args:
        pool: the images.
        assignment: of its detections at an IoU of 0.5.
        kept: (D,) the detections at the thresholds.
        categories: names of the labels 1...
        drawn: draws of the images for the intervals, as ``draws_for`` returns them.

    Returns:
        The mean over the categories, and then each category.
    """
    sums = _sums(pool, assignment, kept, len(categories))
    names = (ALL, *categories.names)
    flat = estimates(lambda weights: sums.numbers(weights).reshape(len(weights), -1), drawn)
    columns = zip(*(flat[start : start + len(names)] for start in range(0, len(flat), len(names))), strict=True)
    counts = [
        [int(of_label.sum()), *of_label.sum(axis=0).astype(int).tolist()]
        for of_label in (sums.matches, sums.wrong, sums.missed)
    ]
    return [
        MaskQuality(name, panoptic, segmentation, recognition, dice, *of_name)
        for name, (panoptic, segmentation, recognition, dice), of_name in zip(
            names, columns, zip(*counts, strict=True), strict=True
        )
    ]


def _sums(pool: DetailsPool, assignment: Assignment, kept: NDArray[np.bool_], num_categories: int) -> _Sums:
    is_match = kept & (assignment.truths != NONE) & (assignment.ious > PANOPTIC_IOU)
    is_wrong = kept & ~is_match & ~assignment.is_ignored
    is_missed = ~pool.rows.truth_iscrowd
    is_missed[assignment.truths[is_match]] = False
    shape = len(pool.details), num_categories

    def summed(images: NDArray[np.int64], labels: NDArray[np.int64], values: Floats | None = None) -> Floats:
        sums = np.bincount(images * num_categories + labels - 1, weights=values, minlength=shape[0] * shape[1])
        return sums.reshape(shape).astype(np.float64)

    images, labels, ious = pool.images, pool.rows.labels, assignment.ious[is_match]
    matches = images[is_match], labels[is_match]
    return _Sums(
        ious=summed(*matches, ious),
        dice=summed(*matches, dice_of(ious)),
        matches=summed(*matches),
        wrong=summed(images[is_wrong], labels[is_wrong]),
        missed=summed(pool.truth_images[is_missed], pool.rows.truth_labels[is_missed]),
    )


def dice_of(ious: Floats) -> Floats:
    """Return the Dice coefficients (Sørensen, 1948) of pairs with these IoUs, of any shape."""
    return 2 * ious / (1 + ious)


def _mean_defined(each: Floats) -> Floats:
    """Return the mean over the categories that are there, (R, numbers, 1), NaN where none is.

    As in panopticapi, a category without a match has an SQ of 0 in it.
    """
    is_there = ~np.isnan(each[:, :1])
    number = is_there.sum(axis=2, keepdims=True)
    total = np.where(is_there, np.nan_to_num(each), 0).sum(axis=2, keepdims=True)
    return ratios(total, number.astype(np.float64))
