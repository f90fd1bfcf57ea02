"""Section of the report with a row for each category."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.counts import Counts
from instseg.analysis.page.content import Section, Table, TableCell
from instseg.core.categories import Categories
from instseg.core.text import visible

HEADS = ["category", "objects", "mask AP", "threshold", "precision", "recall", "F1", "mask IoU"]


@dataclass(frozen=True, slots=True, eq=False)
class Precisions:
    """AP with its intervals, by the names of the metrics."""

    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]


def category_section(
    categories: Categories, precisions: Precisions, counts: Counts, thresholds: NDArray[np.float64]
) -> Section:
    """Show AP with its interval, and precision and recall at the threshold, of each category.

    Args:
        categories: names of the labels 1….
        precisions: of the split.
        counts: at the thresholds.
        thresholds: (C,) in use.
    """
    rows = [
        [TableCell(visible(name), visible(name)), *_cells(name, label, precisions, counts, float(thresholds[label]))]
        for label, name in enumerate(categories.names)
    ]
    explanation = (
        "Precision is the fraction of the detections that is right, recall the fraction of the objects that is found, "
        "F1 their harmonic mean, all at the threshold: the least score that counts. Mask IoU is that of found objects. "
        "Beside AP stands its 95 % interval. A click on a head sorts."
    )
    return Section("categories", "Each category", explanation, Table(HEADS, rows))


def _cells(name: str, row: int, precisions: Precisions, counts: Counts, threshold: float) -> list[TableCell]:
    present, detected, found = (int(column[row]) for column in (counts.present, counts.detected, counts.found))
    return [
        TableCell(f"{present:,}", present),
        _ap(precisions, f"segm_map/{name}"),
        number(threshold, 2),
        number(_fraction(found, detected)),
        number(_fraction(found, present)),
        number(_fraction(2 * found, present + detected)),
        number(float(counts.iou_sums[row + 1]) / found if found else math.nan),
    ]


def _ap(precisions: Precisions, key: str) -> TableCell:
    cell = number(precisions.metrics.get(key, math.nan))
    low, high = precisions.intervals.get(key, (math.nan, math.nan))
    return TableCell(cell.text, cell.value, f"{low:.2f}–{high:.2f}") if math.isfinite(low) else cell


def number(value: float, digits: int = 3) -> TableCell:
    """Return the cell of a number; a dash where it is undefined, below all others.

    Args:
        value: NaN where it is undefined.
        digits: after the point.
    """
    return TableCell(f"{value:.{digits}f}", value) if math.isfinite(value) else TableCell("–", -1.0)


def _fraction(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
