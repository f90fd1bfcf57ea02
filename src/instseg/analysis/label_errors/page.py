"""The page that shows suspicions: how many of each kind, the likeliest as pictures, and what to do with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from instseg.analysis.label_errors.judged import Judged
from instseg.analysis.label_errors.suspicion import Kind, Suspicion
from instseg.analysis.label_errors.wording import TITLES, describe
from instseg.analysis.page.content import (
    Advice,
    Figure,
    Galleries,
    Gallery,
    Page,
    Section,
    Table,
    TableCell,
    ToDo,
)
from instseg.analysis.shown import Showcase, in_turns, sight_of
from instseg.core.text import plural

MAX_SHOWN = 48
"""Suspicions of a kind."""
MIN_SHOWN_SCORE = 0.2
DRAWN_SCORE = 0.5
"""Other detections of an image are drawn from this score."""
HOW_RANKED = (
    "The likeliest come first. The number before each line is its score: trust in what was found, times doubt about "
    "the label. A click shows the whole image."
)


def build_page(
    judged: Judged, suspicions: Sequence[Suspicion], min_score: float, title: str, advice: Sequence[Advice]
) -> Page:
    """Choose what is shown.

    Args:
        judged: the images.
        suspicions: by score.
        min_score: from which suspicions have a proposal.
        title: of the page.
        advice: what to do with the proposals.
    """
    num_labels = sum(int((~truth.iscrowd).sum()) for truth in judged.images.truths)
    likely = [one for one in suspicions if one.score >= min_score]
    num_images = len({one.image for one in likely})
    figures = [
        Figure("likely label errors", f"{len(likely):,}", f"score {min_score:g} or more"),
        Figure("in images", f"{num_images:,}", f"of {len(judged.images):,}"),
        Figure("labels", f"{num_labels:,}", plural(len(judged.images), "image")),
    ]
    verdict = (
        f"{plural(len(likely), 'label error')} likely among {plural(num_labels, 'label')}. Look before you correct: "
        "a model can be wrong, too, above all about what is rare."
    )
    showcase = Showcase([judged.subject()], [_drawn(judged, suspicions)])
    galleries = _galleries(suspicions, showcase)
    todo = "Every correction is a proposal in a copy of the label file; the labels themselves are not touched."
    sections = [
        Section("todo", "What to do next", todo, ToDo([*advice])),
        _counts(suspicions, min_score),
        galleries,
    ]
    return Page(
        title,
        _subtitle(judged),
        figures,
        verdict,
        sections,
        showcase.shown,
        [*judged.notes, *showcase.notes],
        "label errors",
    )


def _subtitle(judged: Judged) -> str:
    return f"label errors · {plural(len(judged.images), 'judged image')}"


def _counts(suspicions: Sequence[Suspicion], min_score: float) -> Section:
    rows = []
    for kind in Kind:
        scores = [one.score for one in suspicions if one.kind == kind]
        numbers = [sum(score >= bound for score in scores) for bound in (min_score, MIN_SHOWN_SCORE)]
        rows.append([TableCell(TITLES[kind][0], TITLES[kind][0]), *(TableCell(f"{n:,}", n) for n in numbers)])
    heads = ["kind", "likely", f"score {MIN_SHOWN_SCORE:g} or more"]
    return Section("kinds", "How many of each kind", "Likely ones have a proposed correction.", Table(heads, rows))


def _galleries(suspicions: Sequence[Suspicion], showcase: Showcase) -> Section:
    groups = {kind: [one for one in suspicions if one.kind == kind and one.score >= MIN_SHOWN_SCORE] for kind in Kind}
    groups = {kind: group for kind, group in groups.items() if group}
    galleries = showcase.shown.galleries = {kind.value: [] for kind in groups}
    kinds = [*groups]
    for number, one in in_turns([group[:MAX_SHOWN] for group in groups.values()]):
        if (shown := showcase.add(sight_of(one, describe(one, showcase.runs[0])))) is not None:
            galleries[kinds[number].value].append(shown)
    content = [_gallery(kind, len(group), len(galleries[kind.value])) for kind, group in groups.items()]
    return Section("suspicions", "The suspicions", HOW_RANKED, Galleries(content))


def _gallery(kind: Kind, count: int, num_shown: int) -> Gallery:
    title, explanation = TITLES[kind]
    shown = "" if num_shown == count else f", {num_shown} shown"
    return Gallery(kind.value, f"{title} ({count:,}{shown})", explanation)


def _drawn(judged: Judged, suspicions: Sequence[Suspicion]) -> dict[int, dict[int, bool]]:
    """Return image -> row of each detection that is drawn -> False where it is one that a suspicion is about."""
    drawn: defaultdict[int, dict[int, bool]] = defaultdict(dict)
    for image, prediction in enumerate(judged.images.predictions):
        drawn[image] = dict.fromkeys(np.flatnonzero(prediction.scores >= DRAWN_SCORE).tolist(), True)
    for one in suspicions:
        if one.score >= MIN_SHOWN_SCORE:
            drawn[one.image] |= dict.fromkeys(one.detections, False)
    return drawn
