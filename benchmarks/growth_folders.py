"""Folders of labelled images in three formats, of any number of images, instances, pixels and categories."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from instseg.core.types import Polygon

NUM_VERTICES = 24


@dataclass(frozen=True)
class Setup:
    """How much there is of everything that may grow."""

    images: int = 100
    instances: int = 8  # on each image
    side: int = 192  # px, of square images
    categories: int = 8
    workers: int = 0


def folder_of(setup: Setup, scratch: Path, label_format: str) -> Path:
    """Made when it is first asked for."""
    root = scratch / f"{label_format}-{setup.images}-{setup.instances}-{setup.side}-{setup.categories}"
    if not root.exists():
        root.mkdir(parents=True)
        FORMATS[label_format](root, setup)
    return root


def polygons(setup: Setup) -> list[Polygon]:
    """(24, 2) each: ellipses side by side in a grid, so that a picture of masks can hold them all."""
    columns = int(np.ceil(np.sqrt(setup.instances)))
    cell = setup.side / columns
    angles = np.linspace(0, 2 * np.pi, NUM_VERTICES, endpoint=False)
    ellipse = cell * np.stack([0.42 * np.cos(angles), 0.3 * np.sin(angles)], axis=1)
    centres = [((k % columns + 0.5) * cell, (k // columns + 0.5) * cell) for k in range(setup.instances)]
    return [(ellipse + centre).round(2) for centre in centres]


def names(setup: Setup, image: int) -> list[str]:
    """Of the categories of an image's instances: all take turns."""
    first = image * setup.instances
    return [f"thing {(first + k) % setup.categories:04d}" for k in range(setup.instances)]


def write_photos(folder: Path, setup: Setup) -> Iterator[str]:
    """Names of JPEGs with noise of two scales, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(setup.images):
        coarse, fine = (random.normal(0, 45, (n, n, 3)).astype(np.float32) for n in (16, setup.side // 2))
        pixels = sum(cv2.resize(noise, (setup.side, setup.side)) for noise in (coarse, fine)) + 120
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number:06d}.jpg", quality=80)
        yield f"{number:06d}.jpg"


def make_coco(root: Path, setup: Setup) -> None:
    shapes = polygons(setup)
    categories = [{"id": i + 1, "name": f"thing {i:04d}"} for i in range(setup.categories)]
    ids = {category["name"]: category["id"] for category in categories}
    content: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": categories}
    for image, file_name in enumerate(write_photos(root / "data", setup)):
        content["images"].append({"id": image, "file_name": file_name, "height": setup.side, "width": setup.side})
        for name, shape in zip(names(setup, image), shapes, strict=True):
            entry = {"id": len(content["annotations"]), "image_id": image, "category_id": ids[name], "iscrowd": 0}
            content["annotations"].append(entry | {"segmentation": [shape.reshape(-1).tolist()]})
    (root / "labels.json").write_text(json.dumps(content))


def make_labelme(root: Path, setup: Setup) -> None:
    points = [shape.tolist() for shape in polygons(setup)]
    for image, file_name in enumerate(write_photos(root, setup)):
        labelled = zip(names(setup, image), points, strict=True)
        shapes = [{"label": name, "points": shape, "shape_type": "polygon"} for name, shape in labelled]
        content = {"version": "5.5.0", "shapes": shapes, "imagePath": file_name, "imageData": None}
        size = {"imageHeight": setup.side, "imageWidth": setup.side}
        (root / file_name).with_suffix(".json").write_text(json.dumps(content | size))


def make_mask_pictures(root: Path, setup: Setup) -> None:
    """Indexed pictures, in which instance k has the value k + 1."""
    mask: NDArray[np.uint8] = np.zeros((setup.side, setup.side), np.uint8)
    for value, shape in enumerate(polygons(setup), start=1):
        cv2.fillPoly(mask, [shape.round().astype(np.int32)], value)
    picture = Image.fromarray(mask, mode="P")
    picture.putpalette([value for k in range(256) for value in (k * 37 % 256, k * 91 % 256, k * 53 % 256)])
    (root / "masks").mkdir()
    for file_name in write_photos(root / "images", setup):
        picture.save((root / "masks" / file_name).with_suffix(".png"))


FORMATS: dict[str, Callable[[Path, Setup], None]] = {
    "coco": make_coco,
    "labelme": make_labelme,
    "mask_folder": make_mask_pictures,
}
