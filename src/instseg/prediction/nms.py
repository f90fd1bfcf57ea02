"""Suppression of objects that were found twice, chosen at prediction: by boxes, by masks, softly, across categories.

A network suppresses boxes itself. ``mask`` and ``soft`` need what it would drop, so it leaves candidates then: boxes up
to an IoU of ``LOOSE``, beyond which the masks of two boxes are one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.boxes import box_ious
from instseg.core.errors import InstsegError
from instseg.core.types import Prediction

NmsKind = Literal["box", "mask", "soft", "agnostic"]
DEFAULT_THRESHOLD = DEFAULT_SIGMA = 0.5
LOOSE, CANDIDATES = 0.9, 4
"""IoU from which a network drops candidates, and their number in multiples of its ``detections_per_image``."""
MIN_SCORE = 1e-3
"""Detections whose score decays below it are dropped."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Nms:
    """Suppression as it was asked for; called with what a network finds on an image, best score first.

    Args:
        kind: box, as the network does it, or with a threshold of its own; mask; soft; agnostic, of boxes across
            categories, beside what the network does within each.
        threshold: IoU above which the worse of two is dropped; None: the network's for box, else 0.5.
        sigma: of soft, see ``_decayed``; None: 0.5.
        limit: the best that are kept of an image; None: all.
        before: IoU of boxes within a category, of a suppression before that one, which a network left undone.
    """

    kind: NmsKind = "box"
    threshold: float | None = None
    sigma: float | None = None
    limit: int | None = None
    before: float | None = None

    def __post_init__(self) -> None:
        if self.kind == "soft" and self.threshold is not None:
            raise InstsegError(f"nms_threshold={self.threshold}: expected null with nms=soft, which has nms_sigma=0.5")
        if self.kind != "soft" and self.sigma is not None:
            instead = "; it has nms_threshold=0.5"
            raise InstsegError(f"nms_sigma={self.sigma}: expected nms=soft, found nms={self.kind}{instead}")

    @property
    def needs_candidates(self) -> bool:
        """Tell whether it needs detections that a network drops of its own accord."""
        return self.kind in ("mask", "soft") or (self.kind == "box" and self.threshold is not None)

    @property
    def asked(self) -> str:
        """The settings that it was asked for by."""
        return f"nms={self.kind}" if self.threshold is None else f"nms={self.kind} nms_threshold={self.threshold}"

    @property
    def is_repeatable(self) -> bool:
        """Tell whether a second pass, over objects joined from tiles, takes nothing from what the first one left."""
        return self.kind != "soft"

    def __call__(self, found: Prediction) -> Prediction:
        """Return what remains, best score first."""
        if self.before is not None:
            found = Nms("box", self.before, limit=self.limit)(found)
        if self.kind == "soft":
            return _best(self._decayed(found), self.limit)
        if self.kind == "box" and self.threshold is None:
            return found
        return _best(found.select(self._is_kept(found)), self.limit)

    def _is_kept(self, found: Prediction) -> NDArray[np.bool_]:
        """Tell which instances remain, (N,): greedily, as usual."""
        threshold = DEFAULT_THRESHOLD if self.threshold is None else self.threshold
        groups = np.zeros_like(found.labels) if self.kind == "agnostic" else found.labels
        is_kept = np.ones(len(found), np.bool_)
        for row, worse in _each_and_worse(groups, is_kept):
            is_kept[worse[self._ious(found, row, worse) > threshold]] = False
        return is_kept

    def _ious(self, found: Prediction, row: int, others: Rows) -> NDArray[np.float64]:
        """Return the IoU of an instance with others, (M,), of masks or of boxes."""
        ious = _ious_with(found, row, others)
        if self.kind != "mask":
            return ious
        meeting = np.flatnonzero(ious > 0)  # masks lie within their boxes
        of_masks = np.zeros(len(others))
        if len(meeting):
            rles = [found.rles[other] for other in others[meeting]]
            of_masks[meeting] = coco_mask.iou([found.rles[row]], rles, [0] * len(rles))[0]
        return of_masks

    def _decayed(self, found: Prediction) -> Prediction:
        """Multiply the score of each box with exp(-IoU² / sigma) for each better one of its category.

        Bodla et al., Soft-NMS, ICCV 2017, equation 3.
        """
        sigma = DEFAULT_SIGMA if self.sigma is None else self.sigma
        scores, waiting = found.scores.astype(np.float64), np.arange(len(found))
        while len(waiting):
            best = waiting[scores[waiting].argmax()]
            waiting = waiting[waiting != best]
            others = waiting[found.labels[waiting] == found.labels[best]]
            scores[others] *= np.exp(-(_ious_with(found, best, others) ** 2) / sigma)
        decayed = replace(found, scores=scores.astype(np.float32))
        return decayed.select(scores >= MIN_SCORE)


OF_NETWORK = Nms()
"""The suppression of the network alone."""


def _each_and_worse(groups: Rows, is_kept: NDArray[np.bool_]) -> Iterator[tuple[int, Rows]]:
    """Yield each instance that is still kept with the worse ones of its group that are."""
    for row in range(len(groups)):
        if is_kept[row]:
            yield row, np.flatnonzero(is_kept[row + 1 :] & (groups[row + 1 :] == groups[row])) + row + 1


def _best(found: Prediction, limit: int | None) -> Prediction:
    """Return the best instances, best score first."""
    order = np.argsort(-found.scores, kind="stable")[:limit]
    rles = [found.rles[row] for row in order]
    return replace(found, boxes=found.boxes[order], labels=found.labels[order], scores=found.scores[order], rles=rles)


def _ious_with(found: Prediction, row: int, others: Rows) -> NDArray[np.float64]:
    """Return the IoU of a box with others, (M,)."""
    box, boxes = found.boxes[[row]].astype(np.float64), found.boxes[others].astype(np.float64)
    ious: NDArray[np.float64] = box_ious(box, boxes)[0]
    return ious
