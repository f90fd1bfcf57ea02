"""Label errors of known kinds, injected into labels that are taken for right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.masks import bitmask_to_rle, rle_area, rle_to_bitmask, rle_to_box, segmentation_to_rle
from instseg.core.types import Bitmask, CocoAnnotation, CocoDict, Rle

MIN_AREA_PX = 100
DILATED, SHIFTED = 0.2, 0.25
"""Of the square root of the area: a disc that is dilated, or shifted, by so much has an IoU of 0.55 with itself."""
MAX_GAP = 0.5
"""Between two objects that are merged, of the longer side of the larger."""
NUM_TRIES = 50


@dataclass(frozen=True, slots=True)
class Injected:
    """An error, and the objects or labels that it is about."""

    kind: str
    image_id: int
    masks: tuple[Rle, ...]
    """Of the objects as they are; of an added label, the label."""


@dataclass(slots=True)
class Injector:
    """Labels with errors; each label has one error at most."""

    coco: CocoDict
    rng: np.random.Generator
    injected: list[Injected] = field(default_factory=list)
    masks: dict[int, Rle] = field(default_factory=dict)
    """Annotation -> its mask, as it was."""
    free: dict[int, CocoAnnotation] = field(default_factory=dict)
    """Labels without an error."""

    def __post_init__(self) -> None:
        """Read all masks."""
        sizes = {image["id"]: (image["height"], image["width"]) for image in self.coco["images"]}
        for one in self.coco["annotations"]:
            self.masks[one["id"]] = segmentation_to_rle(one["segmentation"], sizes[one["image_id"]])
        self.free = {one["id"]: one for one in self.coco["annotations"] if self._is_usable(one)}

    def _is_usable(self, one: CocoAnnotation) -> bool:
        return not one.get("iscrowd") and rle_area(self.masks[one["id"]]) >= MIN_AREA_PX

    def inject(self, kinds: tuple[str, ...], fraction: float) -> None:
        """Give a fraction of the labels an error, each kind to as many."""
        each = round(fraction * len(self.coco["annotations"]) / len(kinds))
        for kind in kinds:
            done = 0
            for one in self._shuffled():
                if done == each:
                    break
                done += one["id"] in self.free and INJECT[kind](self, one)

    def _shuffled(self) -> Iterator[CocoAnnotation]:
        listed = [*self.free.values()]
        return (listed[i] for i in self.rng.permutation(len(listed)))

    def note(self, kind: str, *labels: CocoAnnotation) -> None:
        """Note an error of these labels, which are free for no other."""
        self.injected.append(Injected(kind, labels[0]["image_id"], tuple(self.masks[one["id"]] for one in labels)))
        for one in labels:
            del self.free[one["id"]]

    def draw(self, one: CocoAnnotation, mask: Bitmask) -> None:
        """Give a label another mask."""
        rle = bitmask_to_rle(mask)
        x1, y1, x2, y2 = rle_to_box(rle).tolist()
        one["segmentation"] = {"size": list(rle["size"]), "counts": rle["counts"].decode()}
        one["bbox"], one["area"] = [x1, y1, x2 - x1, y2 - y1], rle_area(rle)

    def new(self, like: CocoAnnotation, mask: Bitmask) -> CocoAnnotation:
        """Add a label."""
        made = cast(CocoAnnotation, {**like, "id": max(one["id"] for one in self.coco["annotations"]) + 1})
        self.draw(made, mask)
        self.coco["annotations"].append(made)
        return made


def _drop(to: Injector, one: CocoAnnotation) -> bool:
    to.note("drop", one)
    to.coco["annotations"].remove(one)
    return True


def _swap(to: Injector, one: CocoAnnotation) -> bool:
    used = sorted({other["category_id"] for other in to.coco["annotations"]} - {one["category_id"]})
    to.note("swap", one)
    one["category_id"] = int(to.rng.choice(used))
    return True


def _add(to: Injector, one: CocoAnnotation) -> bool:
    """Put a copy of a label where nothing is."""
    mask = rle_to_bitmask(to.masks[one["id"]])
    others = [
        to.masks[o["id"]] for o in to.coco["annotations"] if o["image_id"] == one["image_id"] and o["id"] in to.masks
    ]
    taken = rle_to_bitmask(coco_mask.merge(others))
    x1, y1, x2, y2 = rle_to_box(to.masks[one["id"]]).astype(int)
    height, width = mask.shape
    for _ in range(NUM_TRIES):
        left, top = (int(to.rng.integers(0, side - size + 1)) for side, size in ((width, x2 - x1), (height, y2 - y1)))
        moved = np.zeros_like(mask)
        moved[top : top + y2 - y1, left : left + x2 - x1] = mask[y1:y2, x1:x2]
        if not (moved & taken).any():
            made = to.new(one, moved)
            to.masks[made["id"]] = bitmask_to_rle(moved)
            to.injected.append(Injected("add", one["image_id"], (to.masks[made["id"]],)))
            del to.free[one["id"]]
            return True
    return False


def _dilate(to: Injector, one: CocoAnnotation) -> bool:
    mask = rle_to_bitmask(to.masks[one["id"]])
    radius = max(1, round(DILATED * np.sqrt(mask.sum())))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    to.note("dilate", one)
    to.draw(one, cv2.dilate(mask, disc).astype(np.uint8))
    return True


def _shift(to: Injector, one: CocoAnnotation) -> bool:
    mask = rle_to_bitmask(to.masks[one["id"]])
    angle, distance = to.rng.uniform(0, 2 * np.pi), SHIFTED * np.sqrt(mask.sum())
    by = np.array([[1, 0, distance * np.cos(angle)], [0, 1, distance * np.sin(angle)]])
    moved = cv2.warpAffine(mask, by, mask.shape[::-1], flags=cv2.INTER_NEAREST).astype(np.uint8)
    if moved.sum() < 0.9 * mask.sum():  # out of the image
        return False
    to.note("shift", one)
    to.draw(one, moved)
    return True


def _merge(to: Injector, one: CocoAnnotation) -> bool:
    """Make one label of an object and its nearest neighbour of the same category."""
    alike = [
        other
        for other in to.free.values()
        if other["image_id"] == one["image_id"] and other["category_id"] == one["category_id"] and other is not one
    ]
    gaps = [_gap(to.masks[one["id"]], to.masks[other["id"]]) for other in alike]
    if not gaps or min(gaps) > MAX_GAP:
        return False
    other = alike[int(np.argmin(gaps))]
    union = coco_mask.merge([to.masks[one["id"]], to.masks[other["id"]]])
    to.note("merge", one, other)
    to.draw(one, rle_to_bitmask(union))
    to.coco["annotations"].remove(other)
    return True


def _gap(one: Rle, other: Rle) -> float:
    a, b = rle_to_box(one), rle_to_box(other)
    apart = np.maximum(0, np.maximum(a[:2] - b[2:], b[:2] - a[2:])).max()
    return float(apart / max((a[2:] - a[:2]).max(), (b[2:] - b[:2]).max()))


def _split(to: Injector, one: CocoAnnotation) -> bool:
    """Make two labels of an object, cut across its longer side."""
    mask = rle_to_bitmask(to.masks[one["id"]])
    x1, y1, x2, y2 = rle_to_box(to.masks[one["id"]]).astype(int)
    first: NDArray[np.uint8] = mask.copy()
    if x2 - x1 >= y2 - y1:
        first[:, (x1 + x2) // 2 :] = 0
    else:
        first[(y1 + y2) // 2 :] = 0
    second = mask - first
    if min(first.sum(), second.sum()) < MIN_AREA_PX / 4:
        return False
    to.note("split", one)
    to.draw(one, first)
    to.new(one, second)
    return True


INJECT: dict[str, Callable[[Injector, CocoAnnotation], bool]] = {
    "drop": _drop,
    "add": _add,
    "swap": _swap,
    "dilate": _dilate,
    "shift": _shift,
    "merge": _merge,
    "split": _split,
}
KINDS = tuple(INJECT)
