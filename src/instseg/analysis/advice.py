"""Advice on what to do next, drawn from the numbers of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.cases import Case, Cell, Kind, of_kind
from instseg.analysis.page.content import Advice, Section, ToDo
from instseg.analysis.section_breakdowns import Part
from instseg.analysis.wording import shown_name
from instseg.core.shell_overrides import override, sayable
from instseg.core.text import list_names, plural

MAX_ADVICE = 5
LARGE_FRACTION = 0.08
"""Fraction of the mistakes from which a piece of advice is worth giving."""
MIN_CASES = 3
SURE = 0.9
"""Score of a detection that a model is sure of."""
FEW_OBJECTS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """Facts about the training that was evaluated."""

    min_size: int
    """Of the resize, px of the shorter side."""
    max_size: int
    train_objects: NDArray[np.int64]  # (C,) in the training images


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Findings of the report."""

    categories: Sequence[str]
    matrix: NDArray[np.int64]  # (C + 1, C + 1) as in ``Confusion``
    cases: Sequence[Case]
    parts: Mapping[str, Sequence[Part]]
    below: Sequence[tuple[int, float]]
    """Label of each missed object that a detection below the threshold finds, and the score of that."""
    scores: Mapping[Case, float]
    """Scores of the detections of cases."""
    repeated: Mapping[Cell, int]
    """Labels of an object and of a detection -> number of such detections on an object that another one has found."""


def advice_section(seen: Seen, situation: Situation) -> Section:
    """Choose the advice that concerns the most mistakes.

    Args:
        seen: what the report has found.
        situation: of the training.
    """
    found = sorted(_all(seen, situation), key=lambda one: -one[0])
    explanation = "Drawn from the numbers below, what concerns the most mistakes first. None of it is certain to help."
    return Section("advice", "What to do next", explanation, ToDo([advice for _, advice in found[:MAX_ADVICE]]))


def _all(seen: Seen, situation: Situation) -> Iterator[tuple[int, Advice]]:
    """Yield advice with the number of mistakes that it concerns."""
    least = max(MIN_CASES, LARGE_FRACTION * len(seen.cases))
    for rule in (_blind, _threshold, _confused, _small, _crowded, _masks, _labels, _repeated, _rare):
        for number, advice in rule(seen, situation):
            if number >= least:
                yield number, advice


def _threshold(seen: Seen, situation: Situation) -> Iterator[tuple[int, Advice]]:
    if not seen.below:
        return
    (label, number), *_ = Counter(label for label, _ in seen.below).most_common(1)
    middle = float(np.median([score for of_label, score in seen.below if of_label == label]))
    name, threshold = seen.categories[label - 1], max(int(1000 * middle), 1) / 1000
    yield (
        number,
        Advice(
            f"Lower the threshold of {shown_name(name)}",
            f"{plural(number, 'missed object')} would be found by a detection whose score is below the threshold. "
            f"With {threshold:g}, half of them are; the curves below show what precision that costs.",
            (override("score_threshold", {name: threshold}),) if sayable(name) else (),
        ),
    )


def _blind(seen: Seen, situation: Situation) -> Iterator[tuple[int, Advice]]:
    present = int(seen.matrix[1:].sum())
    unfound = sum(case.detection is None for case in of_kind(seen.cases, Kind.MISSED))
    if 2 * unfound < present:
        return
    yield (
        unfound,
        Advice(
            "Find out whether it learns",
            f"{unfound:,} of the {plural(present, 'object')} are found by no detection at all, whatever its score. Is "
            "AP still rising at the end of the curves? Then train longer. Does it overfit eight images? If not, labels "
            "or settings are wrong.",
            ("debug=overfit",),
        ),
    )


def _confused(seen: Seen, situation: Situation) -> Iterator[tuple[int, Advice]]:
    off = seen.matrix[1:, 1:].copy()
    np.fill_diagonal(off, 0)
    for (label, found), number in seen.repeated.items():
        if label != found:
            off[label - 1, found - 1] += number
    together = off + off.T
    if not together.any():
        return
    a, b = sorted(divmod(int(together.argmax()), len(together)))
    names = seen.categories[a], seen.categories[b]
    one, other = map(shown_name, names)
    yield (
        int(together[a, b]),
        Advice(
            f"Look at {one} and {other}",
            f"{together[a, b]} objects of one are taken for the other, or found as both. If people cannot tell "
            "them apart either, join them (dataset.rename); else look at their labels, or label more of both.",
            (override("dataset.rename", {names[0]: names[1]}),) if sayable(names[0]) else (),
        ),
    )


def _small(seen: Seen, situation: Situation) -> Iterator[tuple[int, Advice]]:
    sizes = seen.parts.get("By size", ())
    if len(sizes) < 2:
        return
    smallest, largest = sizes[0], max(sizes[1:], key=lambda part: part.ap.value)
    if not smallest.ap.high < largest.ap.low:  # also where an interval is unknown
        return
    min_size, max_size = (round(1.5 * side / 32) * 32 for side in (situation.min_size, situation.max_size))
    yield (
        smallest.num_lost,
        Advice(
            "Show the network larger images",
            f"Objects {smallest.name} have AP {smallest.ap.value:.2f}, others up to {largest.ap.value:.2f}. The "
            f"shorter side of what the network sees has {situation.min_size} px; 1.5 times that takes about twice the "
            "time and memory.",
            (f"augmentation.min_size={min_size} augmentation.max_size={max_size}",),
        ),
    )


def _crowded(seen: Seen, situation: Situation) -> Iterator[tuple[int, Advice]]:
    parts = seen.parts.get("By crowding", ())
    worse = [part for part in parts[1:] if part.ap.high < parts[0].ap.low]
    if not worse:
        return
    number = sum(part.num_objects for part in worse)
    yield (
        sum(part.num_lost for part in worse),
        Advice(
            "Train on more objects that touch",
            f"{plural(number, 'object')} with neighbours have AP {min(part.ap.value for part in worse):.2f} and more, "
            f"those alone {parts[0].ap.value:.2f}. Label crowded images first, or paste objects onto each other.",
            ("augmentation=copy_paste",),
        ),
    )


def _masks(seen: Seen, situation: Situation) -> Iterator[tuple[int, Advice]]:
    bad = of_kind(seen.cases, Kind.BAD_MASK)
    yield (
        len(bad),
        Advice(
            "Look at the bad masks",
            f"{plural(len(bad), 'object')} are seen, but cut out badly. Where the labelled polygons are rough, fix "
            "them; where two objects share a mask, or one is split, label more of such images.",
        ),
    )


def _labels(seen: Seen, situation: Situation) -> Iterator[tuple[int, Advice]]:
    sure = [case for case in of_kind(seen.cases, Kind.FALSE) if seen.scores[case] >= SURE]
    yield (
        len(sure),
        Advice(
            "Look for missing labels",
            f"{plural(len(sure), 'detection')} with a score of {SURE} or more lie where nothing is labelled. Look at "
            "them below: if the objects are there, label them, or the numbers of this page are too low.",
        ),
    )


def _repeated(seen: Seen, situation: Situation) -> Iterator[tuple[int, Advice]]:
    repeated = sum(number for (label, found), number in seen.repeated.items() if label == found)
    yield (
        repeated,
        Advice(
            "Suppress repeated detections",
            f"{plural(repeated, 'detection')} lie on an object that another detection of its category has found. A "
            "lower threshold of suppression keeps fewer.",
            ("model.box.nms_threshold=0.3",),
        ),
    )


def _rare(seen: Seen, situation: Situation) -> Iterator[tuple[int, Advice]]:
    present, found = seen.matrix[1:].sum(axis=1), np.diagonal(seen.matrix)[1:]
    is_rare = (situation.train_objects < FEW_OBJECTS) & (present > found)
    missed = int((present - found)[is_rare].sum())
    names = list_names((shown_name(seen.categories[row]) for row in np.flatnonzero(is_rare).tolist()), 5)
    yield (
        missed,
        Advice(
            "Label more of what is rare",
            f"{names}: fewer than {FEW_OBJECTS} labelled objects each to train on, and {plural(missed, 'object')} "
            "here that are missed or taken for something else.",
        ),
    )
