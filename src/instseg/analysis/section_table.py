"""Section of the report with a row for each category."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from instseg.analysis.counts import Counts
from instseg.analysis.measured import Measured
from instseg.analysis.page.content import Section, Table, TableCell
from instseg.core.text import visible

HEADS = ["category", "instances", "mask AP", "AP at IoU 0.50", "threshold", "precision", "recall", "F1", "mask IoU"]


def category_section(measured: Measured, counts: Counts) -> Section:
    """Show AP with its interval, and precision and recall at the threshold, of each category.

    Args:
        measured: numbers of the split.
        counts: at the thresholds in use.
    """
    rows = [_row(measured, counts, label) for label in range(len(measured.categories))]
    explanation = (
        "Precision is the fraction of the detections that is right, recall the fraction of the objects that is found, "
        "F1 their harmonic mean, all at the threshold: the least score that counts. Mask IoU is that of found objects. "
        "Below AP stands its 95 % interval. A click on a head sorts."
    )
    return Section("categories", "Each category", explanation, Table(HEADS, rows))


def _row(measured: Measured, counts: Counts, row: int) -> list[TableCell]:
    name = measured.categories.names[row]
    present, detected, found = (int(column[row]) for column in (counts.present, counts.detected, counts.found))
    precision, recall = _fraction(found, detected), _fraction(found, present)
    f1 = _fraction(2 * found, present + detected)
    iou = float(counts.iou_sums[row + 1]) / found if found else math.nan
    return [
        TableCell(visible(name), visible(name)),
        TableCell(f"{present:,}", present),
        _ap(measured.metrics, measured.intervals, f"segm_map/{name}"),
        number(measured.ap50[row]),
        number(float(measured.thresholds[row]), 2),
        number(precision),
        number(recall),
        number(f1),
        number(iou),
    ]


def _ap(metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]], key: str) -> TableCell:
    cell = number(metrics.get(key, math.nan))
    low, high = intervals.get(key, (math.nan, math.nan))
    return TableCell(cell.text, cell.value, f"{low:.2f}–{high:.2f}") if math.isfinite(low) else cell


def number(value: float, digits: int = 3) -> TableCell:
    """Return the cell of a number; a dash where it is undefined, below all others.

    Args:
        value: NaN where it is undefined.
        digits: after the point.
    """
    return TableCell(f"{value:.{digits}f}", value) if np.isfinite(value) else TableCell("–", -1.0)


def _fraction(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
