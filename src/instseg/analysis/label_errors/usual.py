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

MIN_ALIKE = 100
MAX_BINS = 4
MIN_TRACE = 0.1
"""From which something is found at a label."""
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
    traces: Floats  # (L,) of anything found at the label
    labels: NDArray[np.int64]  # (L,)

    @classmethod
    def of(cls, images: Sequence[JudgedImage]) -> Owned:
        """Find it for each label: the one with the highest product of IoU and trust."""
        rows: list[tuple[int, int, int, float, float, float, float, int]] = []
        for one in images:
            traces = one.traces()
            fit = np.where(one.is_same, one.ious * one.trust[:, None], 0.0)
            for row in np.flatnonzero(~one.iscrowd).tolist():
                best = int(fit[:, row].argmax()) if len(fit) and fit[:, row].max() > 0 else -1
                trust, iou = (0.0, 0.0) if best < 0 else (float(one.trust[best]), float(one.ious[best, row]))
                seen = float(one.truth_areas[row]), float(traces[row]), int(one.labels[row])
                rows.append((one.image, row, best, trust, iou, *seen))
        numbers = np.array(rows, dtype=np.float64).reshape(-1, 8).T
        images_, rows_, detections, labels = (column.astype(np.int64) for column in numbers[[0, 1, 2, 7]])
        trust_, ious, areas, all_traces = numbers[3:7]
        return cls(images_, rows_, detections, trust_, ious, areas, all_traces, labels)

    def alike(self) -> NDArray[np.int64]:
        """Return a number for each label, (L,), which those of its category and about its size share.

        At least MIN_ALIKE of them where there are so many; rare categories are taken together.
        """
        counts = np.bincount(self.labels, minlength=1)
        groups = np.where(counts[self.labels] >= MIN_ALIKE, self.labels, 0)
        alike, free = np.zeros(len(groups), np.int64), 0
        for group in np.unique(groups):
            chosen = np.flatnonzero(groups == group)
            num_bins = int(np.clip(len(chosen) // MIN_ALIKE, 1, MAX_BINS))
            ranks = np.argsort(np.argsort(self.areas[chosen], kind="stable"), kind="stable")
            alike[chosen] = free + ranks * num_bins // len(chosen)
            free += num_bins
        return alike


def findability(owned: Owned) -> Floats:
    """Return how often anything is found at labels that are alike, (L,) 0 to 1."""
    alike = owned.alike()
    counts = np.bincount(alike, minlength=1)
    return (np.bincount(alike, weights=owned.traces >= MIN_TRACE, minlength=1) / np.maximum(counts, 1))[alike]


def misfit(owned: Owned) -> Floats:
    """Return how likely each label's IoU is lower than right labels of about the size ever have, (L,) 0 to 1.

    Within a bin of sizes, logits of IoUs are taken for normal, with the median and the deviation of most of them. Of
    labels with an IoU so low or lower, the fraction that this does not explain is returned (the complement of the false
    discovery rate of Benjamini & Hochberg, 1995).
    """
    likely, bins = np.zeros(len(owned.ious)), owned.alike()
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
