"""Labels of several objects at once, and objects with several labels: the two kinds that are about more than a pair."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from instseg.analysis.label_errors.judged_image import FITS, JudgedImage
from instseg.analysis.label_errors.suspicion import Kind, Suspicion

MIN_WITHIN = 0.7
"""Fraction of a part that lies in the whole."""
MAX_OF_WHOLE = 0.85
"""Largest fraction of the whole that one part may be."""
MAX_COMMON = 0.3
"""Largest fraction of a part that it has in common with another."""
MIN_TRUST = 0.2
MAX_PARTS = 10


def merged(image: JudgedImage) -> Iterator[Suspicion]:
    """Yield labels whose area is made up of several detections of their category, and of no single one.

    The score is the trust in the least of the detections, times the IoU of their union with the label, times the doubt
    about the best detection that fits the label as a whole.
    """
    is_part = image.is_same & (image.inside >= MIN_WITHIN) & (image.covered <= MAX_OF_WHOLE)
    is_part &= (image.trust >= MIN_TRUST)[:, None] & ~image.iscrowd
    as_whole = image.best(image.is_same & (image.ious >= MIN_WITHIN))
    for truth in np.flatnonzero(is_part.sum(axis=0) >= 2).tolist():
        parts = _apart(image, np.flatnonzero(is_part[:, truth]).tolist())
        if len(parts) >= 2:
            fit = image.union_iou(parts, [truth])
            score = float(image.trust[parts].min()) * fit * (1 - float(as_whole[truth]))
            yield Suspicion(Kind.MERGED, image.image, (truth,), tuple(parts), score)


def _apart(image: JudgedImage, detections: list[int]) -> list[int]:
    """Return detections that have little in common, the most trusted first."""
    kept: list[int] = []
    for one in sorted(detections, key=lambda row: -image.trust[row]):
        if len(kept) < MAX_PARTS and image.overlap_of_detections(one, kept) <= MAX_COMMON:
            kept.append(one)
    return kept


def split(image: JudgedImage) -> Iterator[Suspicion]:
    """Yield detections whose area is made up of several labels of their category, which nothing fits by themselves.

    The score is the trust in the detection, times the IoU with the union of the labels, times the doubt about the best
    detection that fits one of them.
    """
    is_part = image.is_same & (image.covered >= MIN_WITHIN) & (image.inside <= MAX_OF_WHOLE)
    is_part &= (image.trust >= MIN_TRUST)[:, None] & ~image.iscrowd
    for detection in np.flatnonzero(is_part.sum(axis=1) >= 2).tolist():
        parts = np.flatnonzero(is_part[detection]).tolist()
        others = image.is_same & (image.ious >= FITS)
        others[detection] = False
        alone = float(image.best(others)[parts].max())
        fit = image.union_iou([detection], parts)
        score = float(image.trust[detection]) * fit * (1 - alone)
        yield Suspicion(Kind.SPLIT, image.image, tuple(parts), (detection,), score)
