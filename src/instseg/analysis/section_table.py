"""Section of the report with a row for each category."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from instseg.analysis.page.content import Section, Table, TableCell
from instseg.analysis.wording import shown_name
from instseg.core.categories import Categories
from instseg.evaluation.estimates import Estimate
from instseg.evaluation.mask_quality import MaskQuality

HEADS = ["category", "objects", "mask AP", "threshold", "precision", "recall", "F1", "mask IoU", "Dice", "PQ"]


@dataclass(frozen=True, slots=True)
class Row:
    """Numbers of a category."""

    num_objects: int
    ap: Estimate
    threshold: float
    precision: Estimate
    recall: Estimate
    f1: Estimate
    mask_iou: Estimate
    """Mean of what is found."""
    dice: Estimate
    """Mean of what is found."""
    panoptic: Estimate


def category_section(categories: Categories, rows: Sequence[Row], masks: MaskQuality) -> Section:
    """Show AP, and precision and recall at the threshold, of each category, with their intervals.

    Args:
        categories: names of the labels 1….
        rows: of each.
        masks: of all categories.
    """
    cells = [[TableCell(shown_name(name), shown_name(name)), *_cells(row)]
             for name, row in zip(categories.names, rows, strict=True)]  # fmt: skip
    explanation = (
        "Precision is the fraction of the detections that is right, recall the fraction of the objects that is found, "
        "F1 their harmonic mean, all at the threshold: the least score that counts. Mask IoU and Dice are those of "
        f"found objects; PQ, the panoptic quality, is mask IoU times F1. Over all categories, PQ is {masks.panoptic} "
        f"and Dice {masks.dice}. "
        "Small numbers are 95 % intervals. A click on a head sorts."
    )
    return Section("categories", "Each category", explanation, Table(HEADS, cells))


def _cells(row: Row) -> list[TableCell]:
    numbers = (row.precision, row.recall, row.f1, row.mask_iou, row.dice, row.panoptic)
    threshold = TableCell(f"{row.threshold:.2f}", row.threshold)
    return [TableCell(f"{row.num_objects:,}", row.num_objects), cell(row.ap), threshold, *map(cell, numbers)]


def cell(estimate: Estimate) -> TableCell:
    """Return the cell of a number with its interval; a dash where it is undefined, below all others."""
    if math.isnan(estimate.value):
        return TableCell("–", -1.0)
    note = "" if math.isnan(estimate.low) else f"{estimate.low:.2f}–{estimate.high:.2f}"
    return TableCell(f"{estimate.value:.3f}", estimate.value, note)
