"""Label errors that show at one label, one detection, or a pair of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from instseg.analysis.label_errors.judged_image import FITS, JudgedImage
from instseg.analysis.label_errors.suspicion import Kind, Suspicion

MIN_IOU = 0.1
"""Below that, a detection is not of the object that a label is of (Bolya et al., 2020)."""
MAX_IOU = 0.75
"""Above that, a polygon is good enough whatever is usual."""
MIN_COVERED = 0.2
"""Fraction of a label that a detection within it covers, to be of the same object though of another category."""
MIN_FIT = 0.4
"""IoU of a detection with a label of another category, to be of the same object."""
SHARPNESS = 10
"""Power of the doubt that anything is at a label: a trace of 0.07 halves it, as a model does that misses 7 %."""
MIN_SCORE = 0.01

Scores = Mapping[tuple[int, int], float]
"""(image, row) -> a number from 0 to 1."""


def unlabelled(image: JudgedImage) -> Iterator[Suspicion]:
    """Yield detections where nothing is labelled: an object without label.

    The score is the trust in the detection, less where it overlaps a label that has no better detection.
    """
    fit = image.ious * image.trust[:, None]
    is_owner = (fit >= fit.max(axis=0, initial=0.0)) | (image.ious >= FITS)
    claimed = np.where(is_owner, image.ious, 0.0).max(axis=1, initial=0.0) / FITS
    is_within = (image.inside >= FITS) & (image.is_same | image.iscrowd | (image.covered >= MIN_COVERED))
    scores = image.trust * np.clip(1 - claimed, 0, 1) * ~is_within.any(axis=1)
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable").tolist():
        if scores[row] >= MIN_SCORE and image.overlap_of_detections(row, kept) < FITS:
            kept.append(row)
            yield Suspicion(Kind.UNLABELLED, image.image, (), (row,), float(scores[row]))


def no_object(image: JudgedImage, findability: Scores) -> Iterator[Suspicion]:
    """Yield labels near which nothing is found, not even with a low score.

    Args:
        image: with its labels and detections.
        findability: how often something is found at labels of about the size of each.
    """
    doubts = 1 - image.traces()
    for row in np.flatnonzero(~image.iscrowd).tolist():
        score = (findability[image.image, row] * float(doubts[row])) ** SHARPNESS
        yield Suspicion(Kind.NO_OBJECT, image.image, (row,), (), score)


def wrong_category(image: JudgedImage) -> Iterator[Suspicion]:
    """Yield labels whose area a detection of another category fits, and none of their own.

    The score is the trust in the one, times the doubt about the other.
    """
    is_fit = image.ious >= MIN_FIT
    own = image.best(is_fit & image.is_same)
    others = np.where(is_fit & ~image.is_same & ~image.iscrowd, image.trust[:, None], 0.0)
    for row in np.flatnonzero(others.any(axis=0)).tolist():
        best = int(others[:, row].argmax())
        score = float(others[best, row]) * (1 - float(own[row]))
        yield Suspicion(Kind.CATEGORY, image.image, (row,), (best,), score)


def bad_polygon(image: JudgedImage, misfit: Scores) -> Iterator[Suspicion]:
    """Yield labels whose area is another than that of the detection that means their object.

    The score is the trust in the detection, times how unusual the IoU is.

    Args:
        image: with its labels and detections.
        misfit: how unusually low the IoU of each label is.
    """
    fit = np.where(image.is_same & (image.ious >= MIN_IOU), image.ious * image.trust[:, None], 0.0)
    for row in np.flatnonzero(fit.any(axis=0)).tolist():
        best = int(fit[:, row].argmax())
        if image.ious[best, row] > MAX_IOU:
            continue
        score = float(image.trust[best]) * misfit.get((image.image, row), 0.0)
        yield Suspicion(Kind.POLYGON, image.image, (row,), (best,), score)
