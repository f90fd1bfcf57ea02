"""Boundary AP (Cheng et al., 2021) of evaluated images, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from instseg.core.arrays import Floats
from instseg.evaluation.bootstrap import ResampledAp
from instseg.evaluation.boundaries import with_boundaries
from instseg.evaluation.estimates import Estimate, estimates
from instseg.evaluation.evaluated import EvaluatedImages
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.resampling import Weights
from instseg.evaluation.weighted_curves import mean_aps


def boundary_ap(records: Sequence[ImageRecord], evaluated: EvaluatedImages, drawn: Weights) -> Estimate:
    """Measure the mean AP of the categories, with masks compared by their boundaries; about 1 s for 100 images.

    Args:
        records: of the evaluated images.
        evaluated: the images.
        drawn: draws of the images for the interval, as ``draws_for`` returns them.
    """
    rows = zip(records, evaluated.predictions, evaluated.truths, strict=True)
    compared = [with_boundaries(*row) for row in rows]
    curves = ResampledAp(compared, evaluated.categories, "segm_map").curves

    def measure(weights: Weights) -> Floats:
        return mean_aps(curves, weights)[:, :1]

    return estimates(measure, drawn)[0]
