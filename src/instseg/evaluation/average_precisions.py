"""Mask AP of all categories and of each, with intervals, from one matching."""

from __future__ import annotations

from collections.abc import Sequence

from instseg.core.categories import Categories
from instseg.evaluation.bootstrap import ResampledAp
from instseg.evaluation.estimates import Estimate, estimate_of
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.metrics import evaluate_records
from instseg.evaluation.resampling import Weights
from instseg.evaluation.weighted_curves import category_aps, mean_defined


def average_precisions(records: Sequence[ImageRecord], categories: Categories, drawn: Weights) -> dict[str, Estimate]:
    """Return AP over all IoUs and at 0.50, and AP of each category, by the names of ``CocoMaskMetrics``.

    Args:
        records: the images, each once, sorted by image_id.
        categories: names of the labels 1….
        drawn: draws of the images for the intervals, as ``draws_for`` returns them.
    """
    metrics = evaluate_records(records, categories)
    of_categories = category_aps(ResampledAp(records, categories, "segm_map").curves, drawn)
    resampled = dict(zip(("segm_map", "segm_map_50"), mean_defined(of_categories).T, strict=True))
    resampled |= {f"segm_map/{name}": of_categories[:, row, 0] for row, name in enumerate(categories.names)}
    return {name: estimate_of(metrics[name], values, len(records)) for name, values in resampled.items()}
