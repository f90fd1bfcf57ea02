"""Headline of the report: the numbers that count most, and a plain verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.page.content import Figure
from instseg.core.text import plural
from instseg.evaluation.estimates import Estimate


def figures(
    precisions: Mapping[str, Estimate], boundary_ap: Estimate | None, matrix: NDArray[np.int64], num_images: int
) -> list[Figure]:
    """Return the numbers of the headline.

    Args:
        precisions: AP by the names of the metrics.
        boundary_ap: None where it was not measured.
        matrix: (C + 1, C + 1) as in ``Confusion``.
        num_images: that were evaluated.
    """
    shown = [Figure(name, *_number(precisions[key]))
             for name, key in (("mask AP", "segm_map"), ("AP at IoU 0.50", "segm_map_50"))]  # fmt: skip
    if boundary_ap is not None:
        shown.append(Figure("boundary AP", *_number(boundary_ap)))
    return [*shown, Figure("images", f"{num_images:,}", plural(int(matrix[1:].sum()), "object"))]


def _number(estimate: Estimate) -> tuple[str, str]:
    if math.isnan(estimate.value):
        return "–", ""
    has_interval = not math.isnan(estimate.low)
    interval = f"95 %: {estimate.low:.3f} to {estimate.high:.3f}" if has_interval else "too few images for an interval"
    return f"{estimate.value:.3f}", interval


def verdict(matrix: NDArray[np.int64]) -> str:
    """Summarise in two sentences how much is found, and how much of what is found is right.

    Args:
        matrix: (C + 1, C + 1) as in ``Confusion``.
    """
    found, present, detected = int(np.diagonal(matrix)[1:].sum()), int(matrix[1:].sum()), int(matrix[:, 1:].sum())
    if not present:
        return "The images have no labelled object, so nothing can be measured."
    of_objects = f"It finds {found:,} of the {plural(present, 'object')} ({_percent(found, present)})"
    if not detected:
        return f"{of_objects}: it detects nothing at this threshold."
    return f"{of_objects}; of its {plural(detected, 'detection')}, {found:,} are right ({_percent(found, detected)})."


def _percent(part: int, whole: int) -> str:
    """Round to whole percent; only none are 0 %, and only all are 100 %."""
    rounded = round(100 * part / whole)
    return f"{rounded if part in (0, whole) else min(max(rounded, 1), 99)} %"
