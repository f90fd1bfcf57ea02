"""Choose categories and images, and split them: pure functions from COCO dictionaries to COCO dictionaries.

Every choice is seeded and depends on file names, not on the order in the json, so it is the same tomorrow and
on another machine, and stays nearly the same when a few images are added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from instseg.errors import InstsegError
from instseg.types import CocoDict, CocoImage

SPLITS = ("train", "val", "test")
SPLIT_RATIO = {"train": 0.7, "val": 0.15, "test": 0.15}


@dataclass(frozen=True, slots=True)
class Selection:
    """What is taken from the labels. ``None`` means everything; conf/dataset/coco.yaml explains each.

    Raises InstsegError for values that cannot be.
    """

    categories: tuple[str, ...] | None = None
    max_images: Mapping[str, int | None] | None = None
    empty_ratio: float | None = None
    split_ratio: Mapping[str, float | None] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for split, limit in (self.max_images or {}).items():
            if limit is not None and limit < 1:
                raise InstsegError(f"dataset.max_images.{split}={limit}: expected 1 or more, or null for all")
        if self.empty_ratio is not None and self.empty_ratio < 0:
            raise InstsegError(f"dataset.empty_ratio={self.empty_ratio}: expected 0 or more, or null for all")
        for split, ratio in (self.split_ratio or {}).items():
            if ratio is not None and ratio < 0:
                raise InstsegError(f"dataset.split_ratio.{split}={ratio}: expected 0 or more; 0 makes no such split")

    def ratios(self, splits: Iterable[str]) -> dict[str, float]:
        """The share of each of these splits; of those without a share there is none. Train and val are needed."""
        given = self.split_ratio or SPLIT_RATIO
        ratios = {split: given.get(split) or 0.0 for split in splits}
        for split in ("train", "val"):
            if ratios.get(split) == 0:
                raise InstsegError(f"dataset.split_ratio.{split} must be more than 0: the labels have no such split")
        return {split: ratio for split, ratio in ratios.items() if ratio}


def seeded_order(images: Collection[CocoImage], seed: int) -> list[CocoImage]:
    """Images in a random order that each image's own name and the seed decide."""
    return sorted(images, key=lambda image: hashlib.sha256(f"{seed}/{image['file_name']}".encode()).digest())


def select_categories(coco: CocoDict, names: Collection[str]) -> CocoDict:
    """Keep the annotations of the named categories; every image stays."""
    categories = [category for category in coco["categories"] if category["name"] in names]
    ids = {category["id"] for category in categories}
    annotations = [a for a in coco["annotations"] if a["category_id"] in ids]
    return {**coco, "categories": categories, "annotations": annotations}


def select_images(coco: CocoDict, image_ids: Collection[int]) -> CocoDict:
    """Keep the given images, in the json's order, with their annotations."""
    ids = set(image_ids)
    return {
        **coco,
        "images": [image for image in coco["images"] if image["id"] in ids],
        "annotations": [a for a in coco["annotations"] if a["image_id"] in ids],
    }


def limit_images(coco: CocoDict, max_images: int | None, empty_ratio: float | None, seed: int) -> CocoDict:
    """At most ``empty_ratio`` images without instances per image with some, then at most ``max_images``."""
    if max_images is None and empty_ratio is None:
        return coco
    occupied = {a["image_id"] for a in coco["annotations"] if not a.get("iscrowd")}
    order = seeded_order(coco["images"], seed)
    if empty_ratio is not None:
        empty = [image["id"] for image in order if image["id"] not in occupied]
        kept = set(empty[: round(empty_ratio * len(occupied))])
        order = [image for image in order if image["id"] in occupied or image["id"] in kept]
    return select_images(coco, [image["id"] for image in order[:max_images]])


def split_images(coco: CocoDict, ratios: Mapping[str, float], seed: int) -> dict[str, CocoDict]:
    """Divide into named parts by their ratios (any scale, above 0); each named part gets one image at least."""
    total, num_images = sum(ratios.values()), len(coco["images"])
    if num_images < len(ratios):
        raise InstsegError(f"{num_images} image(s) cannot be split into {', '.join(ratios)}: one each is needed")
    order = [image["id"] for image in seeded_order(coco["images"], seed)]
    sizes = {name: max(1, round(num_images * ratio / total)) for name, ratio in ratios.items()}
    largest = max(sizes, key=lambda name: sizes[name])
    sizes[largest] += num_images - sum(sizes.values())
    parts, start = {}, 0
    for name, size in sizes.items():
        parts[name] = select_images(coco, order[start : start + size])
        start += size
    return parts
