"""The usual agreement of labels with the model: how often objects of a size are found, and how well masks fit.

Most labels are right, so what most of them show is what a right label looks like; a wrong one stands out from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import norm

from instseg.analysis.label_errors.judged_image import FITS, JudgedImage

MIN_IN_BIN = 100
MAX_BINS = 8
MARGIN = 1e-3  # of IoUs to 0 and 1, whose logits are infinite
TO_DEVIATION = 1.4826  # of the median absolute deviation of a normal distribution

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Owned:
    """The detection of its own category that fits each label best, of all images: L labels, crowds left out."""

    images: NDArray[np.int64]  # (L,) position of the image
    rows: NDArray[np.int64]  # (L,) of the label in its image
    detections: NDArray[np.int64]  # (L,) row of the detection; -1
    trust: Floats  # (L,) of the detection; 0
    ious: Floats  # (L,) with the detection; 0
    areas: Floats  # (L,) of the label, px²

    @classmethod
    def of(cls, images: Sequence[JudgedImage]) -> Owned:
        """Find it for each label: the one with the highest product of IoU and trust."""
        rows: list[tuple[int, int, int, float, float, float]] = []
        for one in images:
            fit = np.where(one.is_same, one.ious * one.trust[:, None], 0.0)
            for row in np.flatnonzero(~one.iscrowd).tolist():
                best = int(fit[:, row].argmax()) if len(fit) and fit[:, row].max() > 0 else -1
                trust, iou = (0.0, 0.0) if best < 0 else (float(one.trust[best]), float(one.ious[best, row]))
                rows.append((one.image, row, best, trust, iou, float(one.truth_areas[row])))
        columns = np.array(rows, dtype=np.float64).reshape(-1, 6).T
        return cls(*(column.astype(np.int64) for column in columns[:3]), *columns[3:])

    def is_found(self) -> NDArray[np.bool_]:
        """Tell which labels a detection fits that is rather right than wrong, (L,)."""
        found: NDArray[np.bool_] = (self.ious >= FITS) & (self.trust >= FITS)
        return found


def bins_by_area(areas: Floats) -> NDArray[np.int64]:
    """Return a bin for each label, (L,): those of about its size, MIN_IN_BIN or more where there are so many."""
    num_bins = int(np.clip(len(areas) // MIN_IN_BIN, 1, MAX_BINS))
    ranks = np.argsort(np.argsort(areas, kind="stable"), kind="stable")
    return ranks * num_bins // max(len(areas), 1)


def findability(owned: Owned) -> Floats:
    """Return how often labels of about the size are found, (L,) 0 to 1."""
    bins, found = bins_by_area(owned.areas), owned.is_found()
    counts = np.bincount(bins, minlength=1)
    return (np.bincount(bins, weights=found, minlength=1) / np.maximum(counts, 1))[bins]


def misfit(owned: Owned) -> Floats:
    """Return how likely each label's IoU is lower than right labels of about the size ever have, (L,) 0 to 1.

    Within a bin of sizes, logits of IoUs are taken for normal, with the median and the deviation of most of them. Of
    labels with an IoU so low or lower, the fraction that this does not explain is returned (the complement of the false
    discovery rate of Benjamini & Hochberg, 1995).
    """
    likely, bins = np.zeros(len(owned.ious)), bins_by_area(owned.areas)
    for chosen in (bins == number for number in np.unique(bins)):
        has_fit = chosen & (owned.detections >= 0)
        values = logit(np.clip(owned.ious[has_fit], MARGIN, 1 - MARGIN))
        if not len(values):
            continue
        weights = owned.trust[has_fit]
        middle = float(np.median(values[weights >= FITS])) if (weights >= FITS).any() else float(np.median(values))
        deviation = TO_DEVIATION * float(np.median(np.abs(values - middle))) or 1.0
        order = np.argsort(values, kind="stable")
        expected = len(values) * norm.cdf((values[order] - middle) / deviation)
        unexplained = 1 - np.minimum(1.0, expected / np.arange(1, len(values) + 1))
        sorted_likely = np.maximum.accumulate(unexplained[::-1])[::-1]
        places = np.flatnonzero(has_fit)[order]
        likely[places] = sorted_likely
    return likely
