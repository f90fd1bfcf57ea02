"""The usual agreement of labels with the model: how often objects of a size are found, and how well masks fit.

Most labels are right, so what most of them show is what a right label looks like; a wrong one stands out from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import t as student

from instseg.analysis.label_errors.judged_image import FITS, JudgedImage
from instseg.core.arrays import Floats

MIN_ALIKE = 100
MAX_BINS = 4
PRIOR = 3
MIN_TRACE = 0.1
"""From which something is found at a label."""
MARGIN = 1e-3  # of IoUs to 0 and 1, whose logits are infinite
TAIL = 4
"""Degrees of freedom of Student's t, whose tails are as heavy as those of IoUs with right labels."""
TO_DEVIATION = 1.4826  # of the median absolute deviation of a normal distribution


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
    """Return how often anything is found at labels that are alike, and at the other labels of the image, (L,) 0 to 1.

    The lower of both: a model may be blind to small objects, or to a whole image. Where an image has few labels, those
    that are alike count as PRIOR labels of it.
    """
    is_seen, alike = (owned.traces >= MIN_TRACE).astype(np.float64), owned.alike()
    of_alike = _mean_by(alike, is_seen)
    counts, sums = (np.bincount(owned.images, weights=w, minlength=1)[owned.images] for w in (None, is_seen))
    of_image = (sums - is_seen + PRIOR * of_alike) / (counts - 1 + PRIOR)
    return np.minimum(of_alike, of_image)


def _mean_by(groups: NDArray[np.int64], values: Floats) -> Floats:
    sums, counts = (np.bincount(groups, weights=weights, minlength=1) for weights in (values, None))
    means: Floats = (sums / np.maximum(counts, 1))[groups]
    return means


def misfit(owned: Owned) -> Floats:
    """Return how likely each label's IoU is lower than right labels of about the size ever have, (L,) 0 to 1."""
    likely, alike = np.zeros(len(owned.ious)), owned.alike()
    for number in np.unique(alike):
        chosen = np.flatnonzero((alike == number) & (owned.detections >= 0))
        if len(chosen):
            logits = logit(np.clip(owned.ious[chosen], MARGIN, 1 - MARGIN))
            likely[chosen] = _unexplained(logits, owned.trust[chosen] >= FITS)
    return likely


def _unexplained(logits: Floats, is_trusted: NDArray[np.bool_]) -> Floats:
    """Return the fraction of the labels with so low an IoU, or a lower one, that chance does not explain.

    That is the complement of the false discovery rate (Benjamini & Hochberg, 1995). Logits of the IoUs of right labels
    are taken to follow Student's t, with the median and the deviation of most of them.

    Args:
        logits: (L,) of labels that are alike.
        is_trusted: (L,) whether the detection that each has this IoU with can be trusted.
    """
    middle = float(np.median(logits[is_trusted] if is_trusted.any() else logits))
    deviation = TO_DEVIATION * float(np.median(np.abs(logits - middle))) or 1.0
    order = np.argsort(logits, kind="stable")
    expected = len(logits) * student.cdf((logits[order] - middle) / deviation, TAIL)
    unexplained = 1 - np.minimum(1.0, expected / np.arange(1, len(logits) + 1))
    fractions = np.zeros(len(logits))
    fractions[order] = np.maximum.accumulate(unexplained[::-1])[::-1]
    return fractions
