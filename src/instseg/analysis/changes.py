"""Search for the changes from one run to another, instance by instance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from instseg.analysis.cases import Case, Kind
from instseg.analysis.change_kinds import Changes
from instseg.analysis.compared_run import ComparedRun
from instseg.analysis.shown import Sight
from instseg.analysis.wording import describe, shown_name
from instseg.core.boxes import box_ious
from instseg.core.types import Prediction
from instseg.evaluation.one_to_one import NONE

SAME_IOU = 0.5
"""Of the boxes of two wrong detections of one category that are the same mistake."""
OF_INSTANCES = (Kind.MISSED, Kind.CONFUSED, Kind.BAD_MASK)
ALONE = (Kind.FALSE, Kind.REPEATED)


def find_changes(runs: Sequence[ComparedRun], other: int) -> Changes:
    """Compare the first run with another one.

    Args:
        runs: all that are shown side by side.
        other: place of the second run among them.
    """
    return Changes(
        runs[0].letter,
        runs[other].letter,
        list(_only_right(runs, wrong=0, right=other)),
        list(_only_right(runs, wrong=other, right=0)),
        list(_only_wrong(runs, wrong=0, other=other)),
        list(_only_wrong(runs, wrong=other, other=0)),
    )


def _only_right(runs: Sequence[ComparedRun], wrong: int, right: int) -> Iterator[Sight]:
    """Yield the instances that one run is right about and another wrong."""
    pool = runs[0].pool
    one, other = runs[wrong], runs[right]
    places = {
        (int(pool.truth_images[truth]), int(pool.truth_rows[truth])): truth
        for truth in np.flatnonzero((one.finder == NONE) & (other.finder != NONE)).tolist()
    }
    for case in one.cases:
        if case.kind in OF_INSTANCES and case.truth is not None and (case.image, case.truth) in places:
            yield _sight(runs, case, places[case.image, case.truth], one, other)


def _sight(runs: Sequence[ComparedRun], case: Case, truth: int, wrong: ComparedRun, right: ComparedRun) -> Sight:
    rows: list[tuple[int, ...]] = [() if run.finder[truth] == NONE else (int(run.finder[truth]),) for run in runs]
    rows[runs.index(wrong)] = case.detections
    prediction, row = right.subject.evaluated.predictions[case.image], int(right.finder[truth])
    name = shown_name(right.subject.evaluated.categories.name(int(prediction.labels[row])))
    said = f"{wrong.letter}: {describe(case, wrong.subject)} · {right.letter}: {name} {prediction.scores[row]:.2f}"
    return Sight(case.image, said, case.truths, tuple(rows))


def _only_wrong(runs: Sequence[ComparedRun], wrong: int, other: int) -> Iterator[Sight]:
    """Yield the wrong detections of one run without a like one in the other."""
    one, another = runs[wrong], runs[other]
    of_other: dict[int, list[int]] = {}
    for case in another.cases:
        if case.kind in ALONE and case.detection is not None:
            of_other.setdefault(case.image, []).append(case.detection)
    for case in one.cases:
        if case.kind in ALONE and case.detection is not None:
            predictions = [run.subject.evaluated.predictions[case.image] for run in (one, another)]
            if not _is_among(predictions[0], case.detection, predictions[1], of_other.get(case.image, [])):
                rows = tuple(case.detections if run is one else () for run in runs)
                yield Sight(case.image, f"{one.letter}: {describe(case, one.subject)}", case.truths, rows)


def _is_among(prediction: Prediction, row: int, other: Prediction, rows: Sequence[int]) -> bool:
    """Tell whether a detection has a like one among rows of another prediction."""
    alike = [each for each in rows if other.labels[each] == prediction.labels[row]]
    box, boxes = prediction.boxes[row].astype(np.float64), other.boxes[alike].astype(np.float64)
    return bool((box_ious(box[None], boxes) >= SAME_IOU).any())
