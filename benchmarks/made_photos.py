"""Photos and labels that are made for the benchmarks of the loader, as ours and as pycocotools reads them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from PIL import Image
from pycocotools.coco import COCO

from instseg.core.masks import bitmask_to_rle, polygons_to_rle, rle_to_bitmask
from instseg.core.types import ImageSize, Polygon
from instseg.data import sources
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.index.columns import Index
from instseg.data.prepared import PreparedDataset

NUM_VERTICES = 30  # about as many as in COCO


@dataclass(frozen=True)
class World:
    """The same labelled images twice."""

    prepared: PreparedDataset
    coco: COCO

    @property
    def index(self) -> Index:
        return self.prepared.indices["train"]


Kind = Literal["polygons", "bitmaps", "overlapping bitmaps"]
"""How instances are labelled; where bitmaps do not overlap, each pixel has one instance, as in pictures of masks."""


def make_world(
    root: Path, size: ImageSize, num_instances: int, num_images: int, kind: Kind = "polygons", share: float = 0.17
) -> World:
    """Instance k of every image has label k; every seventh has two parts.

    ``share``: radius of the largest instance, of the image's shorter side.
    """
    for split, count in (("train", num_images), ("val", 1)):
        _write_split(root, split, count, size, num_instances, kind, share)
    options: dict[str, Any] = {"group_by": None, "cache_dir": str(root / "cache")}
    prepared = sources.folder(name="made", reader=CocoReader, root=str(root), **options)
    with redirect_stdout(io.StringIO()):
        return World(prepared, COCO(str(root / "annotations/instances_train.json")))


def _write_split(
    root: Path, split: str, num_images: int, size: ImageSize, num_instances: int, kind: Kind, share: float
) -> None:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id in range(1, num_images + 1):
        random = np.random.default_rng(image_id)
        write_photo(root / split / f"{image_id}.jpg", size, random)
        images.append({"id": image_id, "file_name": f"{image_id}.jpg", "height": size[0], "width": size[1]})
        labels = range(1, num_instances + 1)
        shapes = [[polygon(size, share, random) for _ in range(1 if label % 7 else 2)] for label in labels]
        for label, segmentation in zip(labels, _segmentations(shapes, size, kind), strict=True):
            entry = {"id": len(annotations) + 1, "image_id": image_id, "category_id": label, "iscrowd": 0}
            annotations.append(entry | {"segmentation": segmentation})
    categories = [{"id": label, "name": f"object {label:03d}"} for label in range(1, max(1, num_instances) + 1)]
    (root / "annotations").mkdir(exist_ok=True)
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / f"annotations/instances_{split}.json").write_text(json.dumps(content))


def _segmentations(shapes: Sequence[Sequence[Polygon]], size: ImageSize, kind: Kind) -> Iterator[Any]:
    """COCO's field for each shape."""
    free = np.ones(size, np.bool_)
    for parts in shapes:
        if kind == "polygons":
            yield [part.reshape(-1).tolist() for part in parts]
        else:
            mask = rle_to_bitmask(polygons_to_rle(parts, size)) & free
            free &= (mask == 0) | (kind == "overlapping bitmaps")
            yield (rle := bitmask_to_rle(mask)) | {"counts": rle["counts"].decode()}


def write_photo(path: Path, size: ImageSize, random: np.random.Generator) -> None:
    """Noise of all scales, so that it decodes like a photograph: 3 bits a pixel."""
    pixels = np.full((*size, 3), 120, np.float32)
    for side, strength in ((8, 60), (32, 35), (128, 22), (min(size) // 2, 14)):
        coarse = random.normal(0, strength, (side, side, 3)).astype(np.float32)
        pixels += cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)


def polygon(size: ImageSize, share: float, random: np.random.Generator) -> Polygon:
    """(30, 2) wavy; radii are spread evenly over the magnitudes from a seventh of the largest."""
    radius = min(size) * share * np.exp(random.uniform(-np.log(7), 0))
    angles = np.linspace(0, 2 * np.pi, NUM_VERTICES, endpoint=False)
    radii = radius * (1 + 0.25 * np.sin(3 * angles + random.uniform(0, 6)) + random.uniform(-0.08, 0.08, NUM_VERTICES))
    centre = random.uniform(radius, np.array(size[::-1]) - radius)
    points = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    inside: Polygon = np.clip(points, 0, size[::-1]).round(2)
    return inside
