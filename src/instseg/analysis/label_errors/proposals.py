"""Corrections that suspicions propose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pycocotools import mask as coco_mask

from instseg.analysis.label_errors.judged import Judged
from instseg.analysis.label_errors.suspicion import Kind, Suspicion
from instseg.core.types import Rle
from instseg.data.reading.corrections import Correction, Corrections, Label


def corrections_of(judged: Judged, suspicions: Sequence[Suspicion], rename: Mapping[str, str]) -> Corrections:
    """Return what to change about the labels of each image.

    Args:
        judged: the images.
        suspicions: those that are to be corrected.
        rename: name in the labels -> name of the category, where they differ.
    """
    in_labels = {name: written for written, name in reversed([*rename.items()])}
    by_image: defaultdict[Path, list[Correction]] = defaultdict(list)
    for one in suspicions:
        by_image[judged.files[one.image].path.resolve()].extend(_Proposal(judged, one, in_labels).corrections())
    return dict(by_image)


class _Proposal:
    """One suspicion with its labels and its detections, by the names in the label files."""

    def __init__(self, judged: Judged, one: Suspicion, in_labels: Mapping[str, str]) -> None:
        truth, prediction = judged.images.truths[one.image], judged.images.predictions[one.image]
        self._names = [in_labels.get(name, name) for name in judged.images.categories.names]
        self.kind = one.kind
        self.labels = [Label(self._name(truth.labels[row]), truth.rles[row]) for row in one.truths]
        self.found = [Label(self._name(prediction.labels[row]), prediction.rles[row]) for row in one.detections]

    def _name(self, label: int) -> str:
        return self._names[int(label) - 1]

    def corrections(self) -> Iterator[Correction]:
        """Yield what changes about each label, new ones last."""
        if self.kind == Kind.UNLABELLED:
            yield Correction(None, self.found[0])
            return
        first, *others = self.labels
        if self.kind == Kind.NO_OBJECT:
            yield Correction(first, None)
        elif self.kind == Kind.CATEGORY:
            yield Correction(first, Label(self.found[0].category, first.rle))
        elif self.kind == Kind.SPLIT:
            union: Rle = coco_mask.merge([label.rle for label in self.labels])
            yield Correction(first, Label(first.category, union))
            yield from (Correction(label, None) for label in others)
        else:  # redrawn as found, further objects with labels of their own
            yield Correction(first, Label(first.category, self.found[0].rle))
            yield from (Correction(None, Label(first.category, found.rle)) for found in self.found[1:])
