"""Made scenes of any size, seen from above: discs and bars of one scale, and small images cut out of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.box_masks import crop_to_rle
from instseg.core.categories import Categories
from instseg.core.masks import rle_to_box
from instseg.core.types import GroundTruth, Image, Rle

CATEGORIES = Categories(("disc", "bar"))
SPACING_PX = 46  # an object for each square of this side is tried
TRAIN_SIDE_PX = 160
DISC_PX, BAR_LENGTH_PX, BAR_WIDTH_PX = (18, 48), (40, 110), (12, 20)
MIN_VISIBLE_PX = 60  # of an object that the border of a small image cuts


@dataclass(frozen=True)
class Scene:
    """An image, and the number of the object at each of its pixels."""

    image: Image  # (H, W, 3)
    numbers: NDArray[np.int32]  # (H, W): 0 outside, k on object k
    labels: NDArray[np.int64]  # (N,)

    def cut(self, top: int, left: int, side: int) -> Scene:
        place = np.s_[top : top + side, left : left + side]
        return Scene(np.ascontiguousarray(self.image[place]), self.numbers[place], self.labels)

    def ground_truth(self, image_id: int, min_area: int = 1) -> GroundTruth:
        size = (self.image.shape[0], self.image.shape[1])
        rles, labels, areas = [], [], []
        for number, (rows, columns) in _places(self.numbers):
            crop = self.numbers[rows, columns] == number
            if (area := int(crop.sum())) >= min_area:
                rles.append(crop_to_rle(crop, columns.start, rows.start, size))
                labels.append(self.labels[number - 1])
                areas.append(area)
        boxes = np.array([rle_to_box(rle) for rle in rles]).reshape(-1, 4)
        none = np.zeros(len(rles), np.bool_)
        return GroundTruth(image_id, size, boxes, np.array(labels, np.int64), np.array(areas, np.float64), none, rles)


def _places(numbers: NDArray[np.int32]) -> list[tuple[int, tuple[slice, slice]]]:
    from scipy.ndimage import find_objects

    return [(k, place) for k, place in enumerate(find_objects(numbers), start=1) if place is not None]


def make_scene(seed: int, height: int, width: int, spacing: int = SPACING_PX) -> Scene:
    """Objects do not cover each other, but some touch."""
    rng = np.random.default_rng(seed)
    image = _ground(rng, height, width)
    numbers, labels = np.zeros((height, width), np.int32), list[int]()
    for _ in range(height * width // spacing**2):
        label = int(rng.integers(1, 3))
        mask, (left, top) = _stamp(rng, label, height, width)
        below = numbers[top : top + mask.shape[0], left : left + mask.shape[1]]
        mask = mask[: below.shape[0], : below.shape[1]]
        if below.size == 0 or (below[mask > 0] > 0).any():
            continue
        labels.append(label)
        below[mask > 0] = len(labels)
        _paint(rng, image[top : top + mask.shape[0], left : left + mask.shape[1]], mask)
    return Scene(image, numbers, np.array(labels, np.int64))


def _ground(rng: Generator, height: int, width: int) -> Image:
    cells = rng.uniform(60, 140, (height // 40 + 2, width // 40 + 2, 3)) * (0.8, 1.0, 0.7)
    ground = cv2.resize(cells.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    for top in range(0, height, 512):
        ground[top : top + 512] += rng.normal(0, 7, (*ground[top : top + 512].shape[:2], 1)).astype(np.float32)
    return np.clip(ground, 0, 255).astype(np.uint8)


def _stamp(rng: Generator, label: int, height: int, width: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The mask of an object within its box, and x, y of the corner of that."""
    length = rng.uniform(*(DISC_PX if label == 1 else BAR_LENGTH_PX))
    across = length * rng.uniform(0.75, 1) if label == 1 else rng.uniform(*BAR_WIDTH_PX)
    side = int(length) + 6
    canvas, centre, angle = np.zeros((side, side), np.uint8), (side / 2, side / 2), rng.uniform(0, 180)
    if label == 1:
        cv2.ellipse(canvas, (centre, (length, across), angle), 1, -1)
    else:
        cv2.fillPoly(canvas, [cv2.boxPoints((centre, (length, across), angle)).round().astype(np.int32)], 1)
    return canvas, (int(rng.integers(0, max(1, width - 8))), int(rng.integers(0, max(1, height - 8))))


def _paint(rng: Generator, region: Image, mask: NDArray[np.uint8]) -> None:
    colour = rng.uniform(0, 255, 3)
    colour[rng.integers(3)] = rng.choice((20, 245))
    grain = rng.normal(0, 6, (*mask.shape, 1))
    inside = mask > 0
    region[inside] = np.clip(colour + grain, 0, 255).astype(np.uint8)[inside]


def write_training_set(folder: Path, num_images: int, seed: int) -> Path:
    """Write images cut out of scenes, with their objects as COCO json: a folder for ``dataset=coco``."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    coco: dict[str, list[dict[str, object]]] = {"images": [], "annotations": [], "categories": []}
    coco["categories"] = [{"id": i, "name": name} for i, name in enumerate(CATEGORIES.names, start=1)]
    per_side = 10
    for number in range(num_images):
        if number % per_side**2 == 0:
            scene = make_scene(seed + number, per_side * TRAIN_SIDE_PX, per_side * TRAIN_SIDE_PX)
        row, column = divmod(number % per_side**2, per_side)
        small = scene.cut(row * TRAIN_SIDE_PX, column * TRAIN_SIDE_PX, TRAIN_SIDE_PX)
        name, image_id = f"images/{number:04d}.png", number + 1
        PilImage.fromarray(small.image).save(folder / name)
        coco["images"].append({"id": image_id, "file_name": name, "height": TRAIN_SIDE_PX, "width": TRAIN_SIDE_PX})
        truth = small.ground_truth(image_id, MIN_VISIBLE_PX)
        coco["annotations"] += [_annotation(len(coco["annotations"]) + i, truth, i) for i in range(len(truth))]
    (folder / "labels.json").write_text(json.dumps(coco))
    return folder


def _annotation(annotation_id: int, truth: GroundTruth, i: int) -> dict[str, object]:
    x1, y1, x2, y2 = truth.boxes[i].tolist()
    rle: Rle = truth.rles[i]
    return {
        "id": annotation_id + 1,
        "image_id": truth.image_id,
        "category_id": int(truth.labels[i]),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": float(truth.areas[i]),
        "iscrowd": 0,
        "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")},
    }
