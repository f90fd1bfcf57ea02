"""The labels of a split as every reader returns them, and the builder that collects them as a COCO dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instseg.core.masks import bitmask_to_rle
from instseg.core.types import CocoAnnotation, CocoCategory, CocoDict, CocoImage, ImageSize, Polygon, Rle
from instseg.data.reading.findings import Findings

SPLITS = ("train", "val", "test")
UNSPLIT = "all"
"""The name of the only split of labels that have no splits."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one split, and the folder that the file names of its images are relative to."""

    coco: CocoDict
    image_root: Path


@dataclass(slots=True)
class LabelsBuilder:
    """Collector of the images and instances of one split.

    Ids count from 1. A reader adds instances by the name of their category; ``coco`` numbers the categories.
    """

    images: list[CocoImage] = field(default_factory=list)
    annotations: list[CocoAnnotation] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Category name of each annotation."""

    def add_image(self, file_name: str, image_size: ImageSize | None = None, is_prediction: bool = False) -> int:
        """Add an image and return its ``image_id``.

        Args:
            file_name: posix path from the image root.
            image_size: (height, width) px as the labels declare it.
            is_prediction: its labels are as predict.py wrote them.
        """
        image: CocoImage = {"id": len(self.images) + 1, "file_name": file_name}
        if image_size is not None:
            image["height"], image["width"] = image_size
        if is_prediction:
            image["is_prediction"] = True
        self.images.append(image)
        return image["id"]

    def add_polygons(self, image_id: int, category: str, polygons: Sequence[Polygon], iscrowd: int = 0) -> None:
        """Add an instance of one or several parts.

        Args:
            image_id: of its image.
            category: name.
            polygons: (P, 2) each, px of the labelled image.
            iscrowd: 1 for a region of many instances.
        """
        self._add(image_id, category, [p.reshape(-1).tolist() for p in polygons], iscrowd)

    def add_bitmask(self, image_id: int, category: str, bitmask: NDArray[np.generic], iscrowd: int = 0) -> None:
        """Add an instance as a bitmask.

        Args:
            image_id: of its image.
            category: name.
            bitmask: (H, W) of the labelled image's size, non-zero is inside.
            iscrowd: 1 for a region of many instances.
        """
        self.add_rle(image_id, category, bitmask_to_rle(bitmask), iscrowd)

    def add_rle(self, image_id: int, category: str, rle: Rle, iscrowd: int = 0) -> None:
        """Add an instance as a compressed RLE.

        Args:
            image_id: of its image.
            category: name.
            rle: of the labelled image's size.
            iscrowd: 1 for a region of many instances.
        """
        segmentation = {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}
        self._add(image_id, category, segmentation, iscrowd)

    def add_box(self, image_id: int, category: str, box: NDArray[np.float64], iscrowd: int = 0) -> None:
        """Add a box without a mask; later it is counted, and used as the mask.

        Args:
            image_id: of its image.
            category: name.
            box: (4,) xyxy, px of the labelled image.
            iscrowd: 1 for a region of many instances.
        """
        x1, y1, x2, y2 = map(float, box)
        self._add(image_id, category, [], iscrowd)["bbox"] = [x1, y1, x2 - x1, y2 - y1]

    def _add(self, image_id: int, category: str, segmentation: object, iscrowd: int) -> CocoAnnotation:
        annotation: CocoAnnotation = {"id": len(self.annotations) + 1, "image_id": image_id}
        annotation |= {"iscrowd": iscrowd, "segmentation": segmentation}
        self.annotations.append(annotation)
        self.names.append(category)
        return annotation

    def coco(self, categories: Sequence[str]) -> CocoDict:
        """Return the dictionary; ids count from 1 in the order of ``categories``, which must hold every name."""
        ids = {name: position for position, name in enumerate(categories, start=1)}
        for annotation, name in zip(self.annotations, self.names, strict=True):
            annotation["category_id"] = ids[name]
        listed: list[CocoCategory] = [{"id": category_id, "name": name} for name, category_id in ids.items()]
        return {"images": self.images, "annotations": self.annotations, "categories": listed}


def categories_of(builders: Iterable[LabelsBuilder]) -> list[str]:
    """Return the names that any of the builders has, sorted: for formats that list no categories of their own."""
    return sorted({name for builder in builders for name in builder.names})


def without_dangling(coco: CocoDict, findings: Findings) -> CocoDict:
    """Return the labels without the annotations whose image or category the file does not list.

    Args:
        coco: the labels.
        findings: where the others are noted.
    """
    images = {image["id"] for image in coco["images"]}
    categories = {category["id"] for category in coco["categories"]}
    kept = []
    for annotation in coco["annotations"]:
        if annotation["image_id"] not in images:
            findings.add("image_unknown", f"annotation {annotation['id']} (image {annotation['image_id']})")
        elif annotation["category_id"] not in categories:
            findings.add("category_unknown", f"annotation {annotation['id']} (category {annotation['category_id']})")
        else:
            kept.append(annotation)
    return {**coco, "annotations": kept}
