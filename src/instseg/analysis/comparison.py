"""Comparison of runs on the same images, as a page."""

from __future__ import annotations

import math
from collections.abc import Sequence

from instseg.analysis.changes import find_changes
from instseg.analysis.compared_run import ComparedRun
from instseg.analysis.difference_numbers import Differences
from instseg.analysis.differences import measure_differences
from instseg.analysis.page.content import Figure, Page
from instseg.analysis.section_changes import change_section
from instseg.analysis.section_differences import category_differences, part_differences, run_section
from instseg.analysis.shown import Showcase
from instseg.core.text import plural
from instseg.evaluation.chance import verdict
from instseg.evaluation.estimates import Estimate


def build_comparison(runs: Sequence[ComparedRun], notes: Sequence[str] = ()) -> Page:
    """Compare runs with the first of them.

    Args:
        runs: two or more, on the same images.
        notes: shown below the verdict.
    """
    differences = measure_differences(runs)
    showcase = Showcase([run.subject for run in runs], [run.right_of for run in runs])
    showcase.shown.runs = [run.letter for run in runs]
    changes = change_section([find_changes(runs, place) for place in range(1, len(runs))], showcase)
    sections = [
        run_section(runs, differences),
        *category_differences(runs, differences),
        part_differences(runs, differences),
        changes,
    ]
    first, *others = (run.letter for run in runs)
    images = plural(len(runs[0].images), "test image")
    return Page(
        f"{first} against {' and '.join(others)}",
        f"the same {images}, {plural(runs[0].num_instances, 'object')}",
        _figures(runs, differences),
        " ".join(_sentences(runs, differences)),
        sections,
        showcase.shown,
        [*notes, *showcase.notes],
        kind="comparison",
    )


def _figures(runs: Sequence[ComparedRun], differences: Differences) -> list[Figure]:
    values = zip(runs, differences.ap.values, strict=True)
    return [
        Figure(
            f"mask AP of {run.letter}",
            "–" if math.isnan(ap.value) else f"{ap.value:.3f}",
            f"{run.num_right:,} of {plural(run.num_instances, 'object')} found",
        )
        for run, ap in values
    ]


def _sentences(runs: Sequence[ComparedRun], differences: Differences) -> list[str]:
    pairs = zip(runs[1:], differences.ap.differences, strict=True)
    return [_sentence(runs[0].letter, run.letter, difference) for run, difference in pairs]


def _sentence(one: str, other: str, difference: Estimate) -> str:
    if math.isnan(difference.value):
        return "The images have no labelled object, so nothing can be compared."
    if difference.value == difference.low == difference.high == 0:
        return f"{other} is exactly equal to {one}."
    word, sign = ("better", 1) if difference.value >= 0 else ("worse", -1)
    low, high = sorted((sign * difference.low, sign * difference.high))
    interval = "" if math.isnan(low) else f" (95 %: {low:.3f} to {high:.3f})".replace("-", "−")
    said = verdict(difference.low, difference.high)
    return f"{other} is {word} than {one} by {abs(difference.value):.3f} mask AP{interval}. {said}"
