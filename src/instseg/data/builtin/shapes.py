"""The embedded dataset: generated images of textured shapes, written as an ordinary COCO folder.

It has occlusion, masks with holes and in several parts, small and large instances, instances cut by the border, and
empty images. Every image has its own random stream, ``SeedSequence([seed, split, index])``: more images do not change
the earlier ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import get_type_hints

import cv2
import numpy as np
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from instseg.core import masks
from instseg.core.errors import InstsegError
from instseg.core.new_folders import new_folder
from instseg.core.sealed_folders import made_once_and_whole
from instseg.core.types import CocoAnnotation, CocoDict, CocoImage, Image
from instseg.data.builtin.shapes_drawing import CATEGORIES, Shape, compose, render
from instseg.data.reading.labels import SPLITS
from instseg.data.reading.option_values import typed

GENERATOR_VERSION = 3
"""Increment it whenever the same parameters give other files: it is part of the name of the cache folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapesSpec:
    """Parameters of the generated dataset.

    Attributes:
        num_images: split -> number of images.
        image_side_px: range, both ends included, from which height and width are drawn.
        min_instances: of an image that is not empty; fewer if there is no room.
        max_instances: of an image.
        empty_fraction: probability of an image without instances.
        seed: of all images.
    """

    num_images: Mapping[str, int] = field(default_factory=lambda: {"train": 2000, "val": 60, "test": 200})
    image_side_px: tuple[int, int] = (128, 128)
    min_instances: int = 1
    max_instances: int = 4
    empty_fraction: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise InstsegError for invalid values."""
        object.__setattr__(self, "num_images", dict(self.num_images))
        object.__setattr__(self, "image_side_px", tuple(self.image_side_px))
        shortest, longest = self.image_side_px
        _check("num_images", set(self.num_images) <= set(SPLITS), f"splits among {SPLITS}", dict(self.num_images))
        _check("num_images", all(n >= 1 for n in self.num_images.values()), "1 or more each", dict(self.num_images))
        _check("image_side_px", 64 <= shortest <= longest, "64 <= shortest <= longest", self.image_side_px)
        instances = (self.min_instances, self.max_instances)
        _check("min_instances, max_instances", 1 <= instances[0] <= instances[1], "1 <= min <= max", instances)
        _check("empty_fraction", 0 <= self.empty_fraction <= 1, "0 to 1", self.empty_fraction)
        _check("seed", self.seed >= 0, "0 or more", self.seed)

    @classmethod
    def from_params(cls, **params: object) -> ShapesSpec:
        """Construct a spec from values of a configuration.

        Raises:
            InstsegError: a parameter is not known, or of another type.
        """
        known = [f.name for f in fields(cls)]
        unknown = sorted(params.keys() - set(known))
        _check("parameters", not unknown, f"some of {known}", unknown)
        hints = get_type_hints(cls)
        build: Callable[..., ShapesSpec] = cls
        return build(**{name: typed(name, value, hints[name]) for name, value in params.items()})


def _check(key: str, holds: bool, expected: str, got: object) -> None:
    if not holds:
        raise InstsegError(f"shapes dataset: {key}: expected {expected}, got {got}")


def _draw_image(spec: ShapesSpec, split: str, index: int) -> tuple[Image, list[Shape]]:
    rng = np.random.default_rng(np.random.SeedSequence([spec.seed, SPLITS.index(split), index]))
    height, width = (int(side) for side in rng.integers(spec.image_side_px[0], spec.image_side_px[1] + 1, 2))
    num_instances = int(rng.integers(spec.min_instances, spec.max_instances + 1))
    shapes = [] if rng.random() < spec.empty_fraction else compose(rng, (height, width), num_instances)
    return render(rng, (height, width), shapes), shapes


def _annotation(shape: Shape, annotation_id: int, image_id: int) -> CocoAnnotation:
    """Describe a shape by a polygon, or by an RLE of the visible pixels if it has a hole or an occluder."""
    segmentation: object
    if len(shape.parts) == 1 and np.array_equal(shape.visible, shape.mask):
        segmentation = [shape.parts[0].reshape(-1).tolist()]
        x1, y1, x2, y2 = masks.polygons_to_box(shape.parts).tolist()
    else:
        rle = masks.bitmask_to_rle(shape.visible)
        segmentation = {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}
        x1, y1, x2, y2 = masks.rle_to_box(rle).tolist()
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": shape.label,
        "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
        "area": float(shape.visible.sum()),
        "iscrowd": 0,
        "segmentation": segmentation,
    }


def _write_split(root: Path, spec: ShapesSpec, split: str, on_image: Callable[[], None]) -> None:
    (root / split).mkdir()
    images: list[CocoImage] = []
    annotations: list[CocoAnnotation] = []
    for index in range(spec.num_images[split]):
        image, shapes = _draw_image(spec, split, index)
        entry: CocoImage = {"id": index + 1, "file_name": f"{index + 1:06d}.png"}
        entry["height"], entry["width"] = image.shape[:2]
        # cv2.imwrite would only return False on a full disk.
        encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
        (root / split / entry["file_name"]).write_bytes(encoded.tobytes())
        images.append(entry)
        annotations += [_annotation(shape, len(annotations) + i, index + 1) for i, shape in enumerate(shapes, 1)]
        on_image()
    info = {"description": "instseg shapes", "version": str(GENERATOR_VERSION), "parameters": asdict(spec)}
    coco: CocoDict = {"info": info, "images": images, "annotations": annotations, "categories": CATEGORIES.to_coco()}
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(coco, separators=(",", ":")))


def write_shapes(root: Path, spec: ShapesSpec, on_image: Callable[[], None] = lambda: None) -> None:
    """Write ``root/annotations/instances_<split>.json`` and ``root/<split>/000001.png`` and so on.

    The same spec gives the same bytes (with the same library versions). The folder is written atomically: it is made
    beside ``root`` and renamed.

    Args:
        root: must not exist.
        spec: the parameters.
        on_image: called after each image.

    Raises:
        InstsegError: ``root`` exists already or cannot be written.
    """
    if root.exists():
        raise InstsegError(f"{root}: expected a folder that does not exist yet, found one")
    try:
        with new_folder(root) as scratch:
            (scratch / "annotations").mkdir()
            for split in SPLITS:
                if split in spec.num_images:
                    _write_split(scratch, spec, split, on_image)
    except OSError as error:
        raise InstsegError(f"{root}: cannot write the generated dataset there: {error.strerror or error}") from error


def shapes_fingerprint(spec: ShapesSpec) -> str:
    """Return 12 hex digits that change with every parameter and with the generator's version."""
    text = json.dumps([GENERATOR_VERSION, asdict(spec)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def prepare_shapes(cache_dir: Path, **params: object) -> Path:
    """Generate the folder ``cache_dir/shapes_<fingerprint>`` unless it is there and whole, and return it.

    Of several processes one draws, the others wait and use its folder.

    Args:
        cache_dir: the folder to write to.
        params: as in ShapesSpec.
    """
    spec = ShapesSpec.from_params(**params)
    folder = cache_dir / f"shapes_{shapes_fingerprint(spec)}"
    made_once_and_whole(folder, "draw the shapes dataset", lambda: _draw_into(folder, spec))
    return folder


def _draw_into(folder: Path, spec: ShapesSpec) -> None:
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("Drawing the shapes dataset", total=sum(spec.num_images.values()))
        try:
            write_shapes(folder, spec, on_image=lambda: progress.advance(task))
        except InstsegError:
            if not folder.is_dir():  # otherwise another machine wrote the same files first
                raise
