"""Suspicions in words: the title of each kind, and one line about each of them."""

from __future__ import annotations

from collections.abc import Iterable

from instseg.analysis.label_errors.suspicion import Kind, Suspicion
from instseg.analysis.subject import Subject
from instseg.analysis.wording import shown_name
from instseg.core.text import plural

TITLES = {
    Kind.UNLABELLED: ("Objects without label", "Found where nothing is labelled. The proposal adds a label."),
    Kind.NO_OBJECT: (
        "Labels without object",
        "Nothing is found near them, though others of their size are. The proposal removes the label.",
    ),
    Kind.CATEGORY: ("Wrong category", "The mask fits, but of another category. The proposal renames the label."),
    Kind.POLYGON: (
        "Bad polygons",
        "What is found differs from the label more than is usual. The proposal redraws the label as it was found.",
    ),
    Kind.MERGED: ("Several objects in one label", "The proposal gives each of them a label of its own."),
    Kind.SPLIT: ("One object in several labels", "The proposal makes one label of them."),
}


def describe(suspicion: Suspicion, subject: Subject) -> str:
    """Describe in one line what is suspected.

    Args:
        suspicion: about an image of the subject.
        subject: the judged images.
    """
    truth, prediction = subject.evaluated.truths[suspicion.image], subject.evaluated.predictions[suspicion.image]
    labelled = _names(subject, (int(truth.labels[row]) for row in suspicion.truths))
    found = _names(subject, (int(prediction.labels[row]) for row in suspicion.detections))
    said = {
        Kind.UNLABELLED: f"{found} without label",
        Kind.NO_OBJECT: f"label {labelled} where nothing is found",
        Kind.CATEGORY: f"labelled {labelled}, found as {found}",
        Kind.POLYGON: f"{labelled}: another area is found",
        Kind.MERGED: f"{plural(len(suspicion.detections), 'object')} in one label {labelled}",
        Kind.SPLIT: f"one {found} in {plural(len(suspicion.truths), 'label')}",
    }[suspicion.kind]
    return f"{suspicion.score:.2f} · {said}"


def _names(subject: Subject, labels: Iterable[int]) -> str:
    names = (subject.evaluated.categories.name(label) for label in labels)
    return " and ".join(shown_name(name) for name in dict.fromkeys(names))
