"""The selection of categories and images: pure functions from COCO dictionaries to COCO dictionaries.

Every random choice depends on the seed and the file names, not on the order in the json: see ``ratio_and_folds``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping

from instseg.core.errors import InstsegError
from instseg.core.text import did_you_mean, list_names, similar_names
from instseg.core.types import CocoAnnotation, CocoCategory, CocoDict, CocoImage


def seeded_order(images: Collection[CocoImage], seed: int) -> list[CocoImage]:
    """Return images in a random order that each image's own name and the seed decide.

    Args:
        images: in any order.
        seed: of the order.
    """

    def key(image: CocoImage) -> bytes:
        text = f"{seed}/{image['file_name']}"  # surrogates stand for bytes of a name that are not UTF-8
        return hashlib.sha256(text.encode(errors="surrogatepass")).digest()

    return sorted(images, key=key)


def select_categories(coco: CocoDict, names: Collection[str]) -> CocoDict:
    """Keep the annotations of the named categories; every image stays.

    Args:
        coco: the labels.
        names: of the categories.
    """
    wanted = {*names}
    categories = [category for category in coco["categories"] if category["name"] in wanted]
    ids = {category["id"] for category in categories}
    annotations = [a for a in coco["annotations"] if a["category_id"] in ids]
    return {**coco, "categories": categories, "annotations": annotations}


def select_images(coco: CocoDict, image_ids: Collection[int]) -> CocoDict:
    """Keep the given images, in the json's order, with their annotations.

    Args:
        coco: the labels.
        image_ids: of the images.
    """
    ids = set(image_ids)
    return {
        **coco,
        "images": [image for image in coco["images"] if image["id"] in ids],
        "annotations": [a for a in coco["annotations"] if a["image_id"] in ids],
    }


def limit_images(coco: CocoDict, max_images: int | None, empty_ratio: float | None, seed: int) -> CocoDict:
    """Keep at most ``empty_ratio`` images without instances per image with some, then at most ``max_images``.

    Args:
        coco: the labels.
        max_images: None for all.
        empty_ratio: None for all.
        seed: decides which.
    """
    if max_images is None and empty_ratio is None:
        return coco
    occupied = {a["image_id"] for a in coco["annotations"] if not a.get("iscrowd")}
    order = seeded_order(coco["images"], seed)
    if empty_ratio is not None:
        empty = [image["id"] for image in order if image["id"] not in occupied]
        kept = set(empty[: round(empty_ratio * len(occupied))])
        order = [image for image in order if image["id"] in occupied or image["id"] in kept]
    return select_images(coco, [image["id"] for image in order[:max_images]])


def rename_categories(
    splits: Mapping[str, CocoDict], rename: Mapping[str, str] | None, drop: Collection[str] | None
) -> dict[str, CocoDict]:
    """Leave out the annotations of the dropped categories, give the others their new names, and merge equal names.

    All images stay. All names change at once: ``{a: b, b: a}`` swaps two.

    Args:
        splits: split -> its labels.
        rename: old -> new name.
        drop: names of the categories to leave out.

    Raises:
        InstsegError: no split has a category of that name.
    """
    has = list(dict.fromkeys(category["name"] for coco in splits.values() for category in coco["categories"]))
    check_known(rename or (), has, "dataset.rename")
    check_known(drop or (), has, "dataset.drop")
    new_names = {name: (rename or {}).get(name, name) for name in has if name not in (drop or ())}
    return {split: _renamed(coco, new_names) for split, coco in splits.items()}


def rename_added(
    coco: CocoDict, known: Collection[str], rename: Mapping[str, str] | None, drop: Collection[str] | None
) -> CocoDict:
    """Name the categories of labels that join others as those are named.

    A name that the others have stays. Any other is renamed or dropped as theirs were, or is new, if it has instances.

    Args:
        coco: the labels that join.
        known: names of the others' categories, renamed already.
        rename: old -> new name.
        drop: names of the categories to leave out.
    """
    used = {annotation["category_id"] for annotation in coco["annotations"]}
    has = [category["name"] for category in coco["categories"] if category["id"] in used]
    return _renamed(
        coco, {n: n if n in known else (rename or {}).get(n, n) for n in has if n in known or n not in (drop or ())}
    )


def _renamed(coco: CocoDict, new_names: Mapping[str, str]) -> CocoDict:
    """Keep the categories in ``new_names`` only; of those with one new name, the first gives the id."""
    categories: dict[str, CocoCategory] = {}
    new_ids = {}
    for category in coco["categories"]:
        if (name := new_names.get(category["name"])) is not None:
            new_ids[category["id"]] = categories.setdefault(name, {**category, "name": name})["id"]
    kept = [a for a in coco["annotations"] if a["category_id"] in new_ids]
    annotations: list[CocoAnnotation] = [
        a if new_ids[a["category_id"]] == a["category_id"] else {**a, "category_id": new_ids[a["category_id"]]}
        for a in kept
    ]
    return {**coco, "categories": list(categories.values()), "annotations": annotations}


def check_known(names: Iterable[str], has: list[str], key: str) -> None:
    """Require that categories exist.

    Args:
        names: of the categories.
        has: those that there are.
        key: of the option, for the message.

    Raises:
        InstsegError: one does not.
    """
    for name in names:
        if name not in has:
            meant = did_you_mean([repr(close) for close in similar_names(name, has)])
            raise InstsegError(f"{key}: the labels have no category {name!r}.{meant} They have {list_names(has, 40)}")
