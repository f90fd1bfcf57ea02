"""The report of a model: what it finds, what it gets wrong, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.advice import Seen, Situation, advice_section
from instseg.analysis.cases import Case, Kind, of_kind
from instseg.analysis.find_cases import find_cases, right_of
from instseg.analysis.headline import figures, verdict
from instseg.analysis.measured import Measured
from instseg.analysis.page.content import Page
from instseg.analysis.section_breakdowns import Part, breakdown_section
from instseg.analysis.section_curves import curve_section, error_section
from instseg.analysis.section_galleries import gallery_section
from instseg.analysis.section_matrix import cases_of_cells, cells_shown, labels_of, matrix_section
from instseg.analysis.section_table import Row, category_section
from instseg.analysis.shown import Showcase
from instseg.analysis.subject import Subject
from instseg.core.text import visible
from instseg.visualization.page.links import Link

Parts = dict[str, list[Part]]


@dataclass(frozen=True, slots=True)
class Heading:
    """Title of the report, and what stands below it."""

    title: str
    subtitle: str
    notes: Sequence[str] = ()
    links: Sequence[Link] = ()


def build_report(subject: Subject, measured: Measured, heading: Heading, situation: Situation) -> Page:
    """Find the cases, and choose what is shown.

    Args:
        subject: what was evaluated.
        measured: of the subject.
        heading: of the page.
        situation: of the training.
    """
    categories = subject.evaluated.categories
    matrix, parts = measured.confusion.matrix, _parts(measured)
    cases = find_cases(measured.pool, measured.assignment, measured.confusion)
    showcase = Showcase([subject], [right_of(measured.confusion)])
    galleries = gallery_section(cases, cells_shown(cases_of_cells(cases, subject), matrix), showcase)
    seen = Seen(
        categories.names, matrix, cases, parts, _below(cases, subject), _scores(cases, subject),
        Counter(labels_of(case, subject) for case in of_kind(cases, Kind.REPEATED)),
    )  # fmt: skip
    sections = [
        advice_section(seen, situation),
        category_section(categories, _rows(measured, categories.names, subject.thresholds), measured.masks[0]),
        error_section(measured.errors, measured.error_counts),
        galleries,
        matrix_section(measured.confusion, categories.names, measured.drawn),
        curve_section(
            measured.curves, measured.calibration, categories, subject.thresholds, measured.calibration_before
        ),
        breakdown_section(parts),
    ]
    shown = figures(measured.precisions, measured.boundary_ap, matrix, measured.num_images)
    texts = visible(heading.title), visible(heading.subtitle), shown, verdict(matrix), sections
    return Page(*texts, showcase.shown, [*heading.notes, *showcase.notes], links=list(heading.links))


def _parts(measured: Measured) -> Parts:
    return {
        title: [
            Part(group.group, group.num_instances, num_lost, group.ap)
            for group, num_lost in zip(groups, measured.lost[title], strict=True)
        ]
        for title, groups in measured.groups.items()
    }


def _below(cases: Sequence[Case], subject: Subject) -> list[tuple[int, float]]:
    found = [case for case in of_kind(cases, Kind.MISSED) if case.detection is not None]
    predictions = [(subject.evaluated.predictions[case.image], case.detection) for case in found]
    return [(int(one.labels[row]), float(one.scores[row])) for one, row in predictions]


def _scores(cases: Sequence[Case], subject: Subject) -> dict[Case, float]:
    predictions = subject.evaluated.predictions
    return {case: float(predictions[case.image].scores[case.detection]) for case in cases if case.detection is not None}


def _rows(measured: Measured, names: Sequence[str], thresholds: NDArray[np.float64]) -> list[Row]:
    present = measured.confusion.matrix.sum(axis=1)[1:].tolist()
    aps = (measured.precisions[f"segm_map/{name}"] for name in names)
    columns = zip(present, aps, thresholds.tolist(), measured.at, measured.masks[1:], strict=True)
    return [
        Row(count, ap, threshold, *at, masks.segmentation, masks.dice, masks.panoptic)
        for count, ap, threshold, at, masks in columns
    ]
