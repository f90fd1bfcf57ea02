"""Labels that tests of the audit make up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factories import coco_annotation, coco_dict, coco_image, rectangle

from instseg.auditing.audit_options import AuditOptions
from instseg.core.types import CocoDict, ImageSize
from instseg.models.mask_rcnn import build_mask_rcnn

IMAGE_SIZE: ImageSize = (60, 80)
CATEGORIES = {"car": 1, "dog": 2}

Shapes = list[tuple[str, Any]]
"""Category and segmentation of each instance of an image."""


def audited_for(min_size: int = 800, max_size: int = 1333, exif_is_given: bool = False, **model: Any) -> AuditOptions:
    """Settings of a run of Mask R-CNN with these options, the others as published."""
    return AuditOptions(min_size, max_size, build_mask_rcnn.limits(model), exif_is_given)


def labelled(images: Mapping[str, Shapes], categories: Mapping[str, int] = CATEGORIES, **more: Any) -> CocoDict:
    """File name -> shapes, all images of IMAGE_SIZE; ``more`` goes into every annotation."""
    entries = [coco_image(i, name, IMAGE_SIZE) for i, name in enumerate(images, start=1)]
    annotations = []
    for entry in entries:
        for category, shape in images[entry["file_name"]]:
            number = len(annotations) + 1
            annotations.append(coco_annotation(number, entry["id"], categories[category], shape, **more))
    return coco_dict(entries, annotations, categories)


def one_car_each(split: str, count: int) -> dict[str, Shapes]:
    """Images of one car, which is as it should be."""
    return {f"{split}_{i}.png": [("car", rectangle(10, 10, 50, 40))] for i in range(count)}
