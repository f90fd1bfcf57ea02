"""Several sets of labels as one: file names from one common folder, ids counted anew, categories joined by name."""

from __future__ import annotations

from collections.abc import Sequence

from instseg.core.types import CocoAnnotation, CocoCategory, CocoDict, CocoImage
from instseg.data.reading.folders import common_root, prefix_from
from instseg.data.reading.labels import Labels


def merge_labels(parts: Sequence[Labels]) -> Labels:
    """Return all images, annotations and categories of the parts, in their order.

    Of an annotation without its image or category nothing could be kept: call ``without_dangling`` before.
    """
    if len(parts) == 1:
        return parts[0]
    root = common_root([part.image_root for part in parts])
    names = list(dict.fromkeys(category["name"] for part in parts for category in part.coco["categories"]))
    category_ids = {name: position for position, name in enumerate(names, start=1)}
    images: list[CocoImage] = []
    annotations: list[CocoAnnotation] = []
    for part in parts:
        _append(part, prefix_from(root, part.image_root), category_ids, images, annotations)
    categories: list[CocoCategory] = [{"id": category_id, "name": name} for name, category_id in category_ids.items()]
    return Labels({"images": images, "annotations": annotations, "categories": categories}, root)


def _append(
    part: Labels,
    prefix: str,
    category_ids: dict[str, int],
    images: list[CocoImage],
    annotations: list[CocoAnnotation],
) -> None:
    new_image_ids = {image["id"]: len(images) + i for i, image in enumerate(part.coco["images"], start=1)}
    names = {category["id"]: category["name"] for category in part.coco["categories"]}
    for image in part.coco["images"]:
        images.append({**image, "id": new_image_ids[image["id"]], "file_name": prefix + image["file_name"]})
    for annotation in part.coco["annotations"]:
        annotations.append(
            {
                **annotation,
                "id": len(annotations) + 1,
                "image_id": new_image_ids[annotation["image_id"]],
                "category_id": category_ids[names[annotation["category_id"]]],
            }
        )


def same_categories(labels: dict[str, Labels]) -> dict[str, Labels]:
    """Return the splits so that each lists the categories of all: a part of one can join another."""
    listed = [category for part in labels.values() for category in part.coco["categories"]]
    categories: list[CocoCategory] = [
        {"id": position, "name": name}
        for position, name in enumerate(dict.fromkeys(c["name"] for c in listed), start=1)
    ]
    everything: CocoDict = {"images": [], "annotations": [], "categories": categories}
    return {split: merge_labels([Labels(everything, part.image_root), part]) for split, part in labels.items()}


def named_source(coco: CocoDict, name: str) -> CocoDict:
    """Return the labels, every image naming its source, whose tool decided in which EXIF frame the labels are.

    Args:
        coco: the labels.
        name: of the source.
    """
    images: list[CocoImage] = [{**image, "source": name} for image in coco["images"]]
    return {**coco, "images": images}
