"""Names of categories as shown, and a case in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.cases import Case, Kind, Pictured
from instseg.analysis.subject import Subject
from instseg.core.text import cut, visible

MAX_NAME = 40


def shown_name(name: str) -> str:
    """Return the name of a category as the page shows it: what no eye sees written out, and cut where it is long."""
    return visible(cut(name, MAX_NAME))


def describe(case: Case, subject: Subject) -> str:
    """Describe in one line what is wrong.

    Args:
        case: of the subject.
        subject: what was evaluated.
    """
    truth = None if case.truth is None else _name(subject, int(subject.evaluated.truths[case.image].labels[case.truth]))
    if case.kind == Kind.MISSED:
        return f"missed {truth}{_below(case, subject)}"
    assert case.detection is not None
    prediction = subject.evaluated.predictions[case.image]
    found = f"{_name(subject, int(prediction.labels[case.detection]))} {prediction.scores[case.detection]:.2f}"
    if case.kind == Kind.CONFUSED:
        return f"{truth} taken for {found}"
    if case.kind == Kind.BAD_MASK:
        return f"{found}, mask IoU {case.iou:.2f}"
    if case.kind == Kind.REPEATED:
        return f"{found}, on a {truth} that is found already"
    return f"{found}, where nothing is labelled"


def _below(case: Case, subject: Subject) -> str:
    if case.detection is None:
        return ""
    score = subject.evaluated.predictions[case.image].scores[case.detection]
    return f", found with score {int(1000 * score) / 1000:g}, below the threshold"


def boxes_of(shown: Pictured, subject: Subject) -> NDArray[np.float64]:
    """Return the (N, 4) boxes of the instances in question, px of the image.

    Args:
        shown: a case of the subject, or another matter of one of its images.
        subject: what was evaluated.
    """
    truth, prediction = subject.evaluated.truths[shown.image], subject.evaluated.predictions[shown.image]
    boxes = [*truth.boxes[[*shown.truths]], *prediction.boxes[[*shown.detections]]]
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)


def _name(subject: Subject, label: int) -> str:
    return shown_name(subject.evaluated.categories.name(label))
