"""Trust in detections: the fraction of those with such a score that agree with the labels, most of which are right.

A mask that is roughly there counts: a model whose masks are rough still knows what there is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Floats
from instseg.evaluation.assignment import assign
from instseg.evaluation.evaluated import EvaluatedImages
from instseg.evaluation.image_details import DetailsPool, ImageDetails
from instseg.evaluation.one_to_one import NONE
from instseg.evaluation.recalibration import fit_isotonic

MIN_IOU = 0.3
"""Of a detection with a label of its category, to agree."""
MIN_DETECTIONS = 300
"""Of a category, to be calibrated by itself."""
TIE_BREAK = 0.02
"""Weight of the score itself, which ranks detections that are equally often right."""


def trusts(evaluated: EvaluatedImages) -> list[Floats]:
    """Return how likely each detection of each image is right, 0 to 1.

    Args:
        evaluated: images, judged by models that have not seen them.
    """
    pairs = zip(evaluated.predictions, evaluated.truths, strict=True)
    pool = DetailsPool.of([ImageDetails.build(*pair) for pair in pairs])
    assignment = assign(pool, MIN_IOU)
    is_right, scores, labels = assignment.truths != NONE, pool.rows.scores, pool.rows.labels
    trust = np.zeros(len(scores))
    for chosen in _groups(labels):
        counted = chosen & ~assignment.is_ignored
        trust[chosen] = fit_isotonic(scores[counted], is_right[counted])(scores[chosen])
    trust = (1 - TIE_BREAK) * trust + TIE_BREAK * scores
    by_image = [np.zeros(len(prediction)) for prediction in evaluated.predictions]
    for image, row, value in zip(pool.images.tolist(), pool.predicted_rows.tolist(), trust.tolist(), strict=True):
        by_image[image][row] = value
    return by_image


def _groups(labels: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
    """Yield the detections of each category that has many, and those of all others together."""
    counts = np.bincount(labels, minlength=1)
    is_frequent = counts >= MIN_DETECTIONS
    yield from (labels == label for label in np.flatnonzero(is_frequent))
    yield ~is_frequent[labels]
