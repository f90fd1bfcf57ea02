"""Section of the report with pictures of the cases, those that cost most first."""

from __future__ import annotations

from collections.abc import Sequence

from instseg.analysis.cases import Case, Cell, Kind, of_kind
from instseg.analysis.page.content import Galleries, Gallery, Section
from instseg.analysis.shown import Showcase, in_turns, sight_of
from instseg.analysis.wording import describe

MAX_SHOWN = 24
"""Cases of a gallery."""
MAX_IN_CELL = 12
"""Cases of a cell of the confusion matrix."""
TITLES = {
    Kind.MISSED: ("Missed", "Objects that no detection above the threshold finds."),
    Kind.FALSE: ("Found where nothing is labelled", "Either the model is wrong, or a label is missing."),
    Kind.CONFUSED: ("Confused", "The mask fits an object of another category."),
    Kind.BAD_MASK: ("Bad masks", "The object is meant, but the IoU of the masks is below 0.5."),
    Kind.REPEATED: ("Found twice", "The mask fits an object that another detection has found already."),
}


def gallery_section(cases: Sequence[Case], cells: dict[Cell, list[Case]], showcase: Showcase) -> Section:
    """Choose the cases that are shown, in the galleries first and then in the cells of the matrix.

    Args:
        cases: all, by cost.
        cells: cell -> its cases.
        showcase: collects what is shown.
    """
    subject = showcase.runs[0]
    kinds = [kind for kind in Kind if of_kind(cases, kind)]
    chosen = [of_kind(cases, kind)[:MAX_SHOWN] for kind in kinds]
    galleries = showcase.shown.galleries = {kind.value: [] for kind in kinds}
    for number, case in in_turns(chosen):
        if (shown := showcase.add(sight_of(case, describe(case, subject)))) is not None:
            galleries[kinds[number].value].append(shown)
    wrong = {cell: found[:MAX_IN_CELL] for cell, found in cells.items()}
    keys = [f"{truth}-{found}" for truth, found in wrong]
    showcase.shown.cells = {key: [] for key in keys}
    for number, case in in_turns([*wrong.values()]):
        if (shown := showcase.add(sight_of(case, describe(case, subject)))) is not None:
            showcase.shown.cells[keys[number]].append(shown)
    content = [_gallery(kind, len(of_kind(cases, kind)), len(galleries[kind.value])) for kind in kinds]
    explanation = (
        "What costs most comes first: an object that is missed weighs more where its category is rare, a wrong "
        "detection more where its score is high. A click shows the whole image."
    )
    return Section("cases", "The mistakes", explanation, Galleries(content))


def _gallery(kind: Kind, num_cases: int, num_shown: int) -> Gallery:
    title, explanation = TITLES[kind]
    shown = "" if num_shown == num_cases else f", {num_shown} shown"
    return Gallery(kind.value, f"{title} ({num_cases:,}{shown})", explanation)
