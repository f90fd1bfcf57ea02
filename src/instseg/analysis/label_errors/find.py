"""Search for label errors in judged images, all kinds together, each error once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from instseg.analysis.label_errors.groups import merged, split
from instseg.analysis.label_errors.judged_image import JudgedImage
from instseg.analysis.label_errors.pairs import MIN_SCORE, Scores, bad_polygon, no_object, unlabelled, wrong_category
from instseg.analysis.label_errors.suspicion import Suspicion, ranked
from instseg.analysis.label_errors.trust import trusts
from instseg.analysis.label_errors.usual import Owned, findability, misfit
from instseg.core.arrays import Floats
from instseg.evaluation.evaluated import EvaluatedImages


def find_label_errors(evaluated: EvaluatedImages) -> list[Suspicion]:
    """Return suspicions, the likeliest first; each label and each detection is in one of them at most.

    After the scores of ObjectLab (Tkachenko et al., 2023): objects that were overlooked, badly located and swapped,
    here for masks, with merged and split ones, and scores that are calibrated on the labels themselves.

    Args:
        evaluated: images, judged by models that have not seen them.
    """
    parts = zip(evaluated.predictions, evaluated.truths, trusts(evaluated), strict=True)
    images = [JudgedImage.of(number, *part) for number, part in enumerate(parts)]
    owned = Owned.of(images)
    found, misfits = _by_label(owned, findability(owned)), _by_label(owned, misfit(owned))
    return ranked([one for image in images for one in _of_image(image, found, misfits)])


def _by_label(owned: Owned, values: Floats) -> Scores:
    keys = zip(owned.images.tolist(), owned.rows.tolist(), strict=True)
    return dict(zip(keys, values.tolist(), strict=True))


def _of_image(image: JudgedImage, findability: Scores, misfit: Scores) -> list[Suspicion]:
    """Return the suspicions of one image; what several parts explain is less likely a matter of one of them."""
    groups = [*merged(image), *split(image)]
    others = [
        *unlabelled(image),
        *no_object(image, findability),
        *wrong_category(image),
        *bad_polygon(image, misfit),
    ]
    weighed = [replace(one, score=one.score * (1 - _explained(one, groups))) for one in others]
    return [one for one in (*groups, *weighed) if one.score >= MIN_SCORE]


def _explained(one: Suspicion, groups: Sequence[Suspicion]) -> float:
    """Return the score of the likeliest group that a suspicion shares a label or a detection with."""
    sharing = (
        group.score for group in groups if {*group.truths} & {*one.truths} or {*group.detections} & {*one.detections}
    )
    return float(np.max([0.0, *sharing]))
