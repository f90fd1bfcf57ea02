"""The report of a model: what it finds, what it gets wrong, and what to do next, as one page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from instseg.analysis.counts import Counts, count
from instseg.analysis.find_cases import find_cases
from instseg.analysis.measured import Measured, measure
from instseg.analysis.page.content import Figure, Page
from instseg.analysis.page.render import render
from instseg.analysis.section_curves import curve_section, error_section
from instseg.analysis.section_galleries import gallery_section
from instseg.analysis.section_matrix import cases_of_cells, matrix_section
from instseg.analysis.section_table import category_section
from instseg.analysis.shown import Showcase
from instseg.analysis.subject import Subject
from instseg.core.atomic import write_text_atomically
from instseg.core.text import plural


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
    categories = subject.evaluated.categories
    measured, counts, cases = measure(subject), count(subject), find_cases(subject)
    showcase = Showcase(subject)
    cells = cases_of_cells(cases, subject)
    galleries = gallery_section(cases, cells, showcase)
    sections = [
        category_section(categories, measured.precisions, counts, subject.thresholds),
        error_section(measured.errors),
        galleries,
        matrix_section(subject, counts),
        curve_section(measured.curves, measured.calibration, categories, subject.thresholds),
    ]
    return Page(
        heading.title,
        heading.subtitle,
        _figures(measured, counts),
        _verdict(counts),
        sections,
        showcase.shown,
    )


def _figures(measured: Measured, counts: Counts) -> list[Figure]:
    figures = [Figure(name, _number(measured.precisions.metrics.get(key, math.nan)), _interval(measured, key))
               for name, key in (("mask AP", "segm_map"), ("AP at IoU 0.50", "segm_map_50"))]  # fmt: skip
    figures.append(Figure("images", f"{measured.num_images:,}", f"{int(counts.present.sum()):,} objects"))
    return figures


def _interval(measured: Measured, key: str) -> str:
    low, high = measured.precisions.intervals.get(key, (math.nan, math.nan))
    return f"95 %: {low:.3f} to {high:.3f}" if math.isfinite(low) else "too few images for an interval"


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _verdict(counts: Counts) -> str:
    found, present, detected = (int(c.sum()) for c in (counts.found, counts.present, counts.detected))
    if not present:
        return "The images have no labelled object, so nothing can be measured."
    right = f" {found / detected:.0%} of its {plural(detected, 'detection')} are right." if detected else ""
    return f"It finds {found / present:.0%} of the {plural(present, 'object')}.{right}"
