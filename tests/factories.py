"""Small made data for tests: hand-drawn masks, pictures, COCO folders, targets. Nothing here reads the network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.categories import Categories
from instseg.core.masks import bitmask_to_rle, polygons_to_rle, rle_to_bitmask
from instseg.core.types import (
    BOX_MASK_SIZE,
    CocoAnnotation,
    CocoDict,
    CocoImage,
    Image,
    ImageSize,
    Instances,
    Polygon,
    Rle,
    Target,
)

SHARED = (Path(__file__).parents[1] / "../shared/data").resolve()
"""Real photos with labels; tests that use them skip where the folder is absent."""

NAMES = ("car", "dog", "cake")
CATEGORY_IDS = {"car": 3, "dog": 18, "cake": 61}
"""Of the json that ``write_coco_folder`` writes: neither from 1 nor without gaps, as in COCO."""


def tiny_categories(num_categories: int = 3) -> Categories:
    return Categories(NAMES[:num_categories])


def drawn(*rows: str) -> NDArray[np.uint8]:
    """A bitmask as it looks: ``drawn(".##.", ".##.")`` is (2, 4) with a square in the middle."""
    return np.array([[character == "#" for character in row] for row in rows], dtype=np.uint8)


def polygon(*points: tuple[float, float]) -> Polygon:
    return np.array(points, dtype=np.float64)


def rectangle(x1: float, y1: float, x2: float, y2: float) -> Polygon:
    return polygon((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def star(x: float, y: float, radius: float, num_points: int = 5) -> Polygon:
    """Concave, and different from its mirror image when turned a little."""
    angles = 0.3 + np.arange(2 * num_points) * np.pi / num_points
    radii = radius * np.where(np.arange(2 * num_points) % 2, 0.55, 1.0)
    return np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1)


def make_instances(*shapes: Polygon | list[Polygon] | Rle, labels: Sequence[int] | None = None) -> Instances:
    """One instance per argument: a polygon, several parts, or an RLE; labels count up from 1 unless given."""
    polygons = [[s] if isinstance(s, np.ndarray) else s if isinstance(s, list) else [] for s in shapes]
    rles = [shape if isinstance(shape, dict) else None for shape in shapes]
    chosen = range(1, len(shapes) + 1) if labels is None else labels
    return Instances(np.array(chosen, dtype=np.int64), polygons, rles)


def make_target(*boxes: Sequence[float], labels: Sequence[int] | None = None, size: int = BOX_MASK_SIZE) -> Target:
    """A target of instances that fill their xyxy boxes; labels count up from 1 unless given."""
    chosen = list(range(1, len(boxes) + 1)) if labels is None else list(labels)
    return Target(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(chosen, dtype=torch.int64),
        torch.ones(len(boxes), size, size, dtype=torch.uint8),
    )


def make_picture(image_size: ImageSize, seed: int = 0) -> Image:
    """(H, W, 3) smooth coloured noise: no two places look alike, and it survives JPEG."""
    rng = np.random.default_rng(seed)
    coarse = PilImage.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return np.array(coarse.resize(image_size[::-1], PilImage.Resampling.BICUBIC))


def write_picture(path: Path, image_size: ImageSize, seed: int = 0, orientation: int = 1) -> Path:
    """Write ``make_picture`` as stored pixels of this size, with an EXIF orientation if it is not 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = PilImage.Exif()
    exif[0x0112] = orientation
    PilImage.fromarray(make_picture(image_size, seed)).save(path, **({"exif": exif} if orientation != 1 else {}))
    return path


def coco_image(image_id: int, file_name: str, image_size: ImageSize | None = None) -> CocoImage:
    entry: CocoImage = {"id": image_id, "file_name": file_name}
    if image_size is not None:
        entry["height"], entry["width"] = image_size
    return entry


def coco_annotation(
    annotation_id: int, image_id: int, category: str | int, segmentation: Any, **more: Any
) -> CocoAnnotation:
    """``segmentation``: a Polygon, a list of them, an RLE, or anything else as it is; ``more`` overrides any key."""
    parts = [segmentation] if isinstance(segmentation, np.ndarray) else segmentation
    if isinstance(parts, list) and parts and isinstance(parts[0], np.ndarray):
        parts = [part.reshape(-1).tolist() for part in parts]
    if isinstance(parts, dict) and isinstance(parts["counts"], bytes):
        parts = {**parts, "counts": parts["counts"].decode()}
    category_id = CATEGORY_IDS[category] if isinstance(category, str) else category
    entry = {"id": annotation_id, "image_id": image_id, "category_id": category_id, "segmentation": parts, "iscrowd": 0}
    return {**entry, **more}  # type: ignore[typeddict-item]


def coco_dict(
    images: list[CocoImage], annotations: list[CocoAnnotation], categories: Mapping[str, int] = CATEGORY_IDS
) -> CocoDict:
    """Without ``info`` and ``licenses``, as many tools write it."""
    listed = [{"id": category_id, "name": name} for name, category_id in categories.items()]
    return {"images": images, "annotations": annotations, "categories": listed}  # type: ignore[typeddict-item]


def uncompressed(bitmask: NDArray[Any]) -> dict[str, Any]:
    """COCO's run-length form with a list of counts, as its crowds have it."""
    flat = np.asarray(bitmask, dtype=bool).T.reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat]))).tolist()
    counts = np.diff([0, *edges, flat.size]).tolist()
    return {"size": list(bitmask.shape), "counts": counts}


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_coco_folder(
    root: Path, num_images: Mapping[str, int] | None = None, image_size: ImageSize = (48, 64), extension: str = ".png"
) -> Path:
    """``root/annotations/instances_<split>.json`` and ``root/<split>/*``; {"train": 4, "val": 2} unless told otherwise.

    Every four images of a split are, in this order, at places that differ from image to image:

    0. a car and a dog as polygons, the dog of two parts
    1. a cake as a compressed RLE with a hole
    2. a car as polygon, and a crowd of dogs as uncompressed RLE
    3. nothing
    """
    for split, count in (num_images or {"train": 4, "val": 2}).items():
        images = [coco_image(100 + 7 * i, f"{split}_{i}{extension}", image_size) for i in range(count)]
        annotations: list[CocoAnnotation] = []
        for i, image in enumerate(images):
            write_picture(root / split / image["file_name"], image_size, seed=i)
            for category, segmentation, iscrowd in _scene(i, image_size):
                annotation_id = len(annotations) + 1
                annotations.append(coco_annotation(annotation_id, image["id"], category, segmentation, iscrowd=iscrowd))
        write_json(root / "annotations" / f"instances_{split}.json", coco_dict(images, annotations))
    return root


def _scene(i: int, image_size: ImageSize) -> list[tuple[str, Any, int]]:
    height, width = image_size
    shift = 1.5 * (i % 5)
    car = rectangle(3 + shift, 4, 20 + shift, 18.5)
    if i % 4 == 0:
        dog = [star(width * 0.6, height * 0.6, height * 0.25), rectangle(width - 12, 2, width - 4.5, 9)]
        return [("car", car, 0), ("dog", dog, 0)]
    if i % 4 == 1:
        ring = rle_to_bitmask(polygons_to_rle([star(width * 0.5, height * 0.5, height * 0.4)], image_size))
        ring[height // 2 - 3 : height // 2 + 3, width // 2 - 4 : width // 2 + 4] = 0
        return [("cake", bitmask_to_rle(ring), 0)]
    if i % 4 == 2:
        crowd = np.zeros(image_size, dtype=np.uint8)
        crowd[-10:, 5 : width - 5] = 1
        return [("car", car, 0), ("dog", uncompressed(crowd), 1)]
    return []
