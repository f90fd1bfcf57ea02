"""The report of a model: what it finds, what it gets wrong, and what to do next, as one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.find_cases import find_cases, right_of
from instseg.analysis.headline import figures, verdict
from instseg.analysis.measured import Measured, measure
from instseg.analysis.page.content import Page
from instseg.analysis.page.render import render
from instseg.analysis.section_curves import curve_section, error_section
from instseg.analysis.section_galleries import gallery_section
from instseg.analysis.section_matrix import cases_of_cells, matrix_section
from instseg.analysis.section_table import Row, category_section
from instseg.analysis.shown import Showcase
from instseg.analysis.subject import Subject
from instseg.core.atomic import write_text_atomically
from instseg.core.categories import Categories


@dataclass(frozen=True, slots=True)
class Heading:
    """Title of the report."""

    title: str
    subtitle: str


def write_report(subject: Subject, heading: Heading, path: Path) -> None:
    """Write the report as one HTML file, atomically.

    Args:
        subject: what was evaluated.
        heading: of the page.
        path: the file.
    """
    write_text_atomically(path, render(build_report(subject, heading)))


def build_report(subject: Subject, heading: Heading) -> Page:
    """Measure, find the cases, and choose what is shown.

    Args:
        subject: what was evaluated.
        heading: of the page.
    """
    categories, measured = subject.evaluated.categories, measure(subject)
    matrix = measured.confusion.matrix
    cases = find_cases(measured.pool, measured.assignment, measured.confusion)
    showcase = Showcase(subject, right_of(measured.confusion))
    galleries = gallery_section(cases, cases_of_cells(cases, subject), showcase)
    sections = [
        category_section(categories, _rows(measured, categories, subject.thresholds)),
        error_section(measured.errors),
        galleries,
        matrix_section(matrix, categories.names),
        curve_section(measured.curves, measured.calibration, categories, subject.thresholds),
    ]
    shown = figures(measured.precisions, matrix, measured.num_images)
    return Page(heading.title, heading.subtitle, shown, verdict(matrix), sections, showcase.shown)


def _rows(measured: Measured, categories: Categories, thresholds: NDArray[np.float64]) -> list[Row]:
    present = measured.confusion.matrix.sum(axis=1)[1:].tolist()
    aps = (measured.precisions[f"segm_map/{name}"] for name in categories.names)
    ious = (masks.segmentation for masks in measured.masks[1:])
    columns = zip(present, aps, thresholds.tolist(), measured.at, ious, strict=True)
    return [Row(count, ap, threshold, *at, iou) for count, ap, threshold, at, iou in columns]
