"""Division of images by ratio and by folds: pure functions from COCO dictionaries to COCO dictionaries.

Every choice is seeded and depends on file names, not on the order in the json, so it is the same tomorrow and
on another machine, and stays nearly the same when a few images are added.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from instseg.core.errors import InstsegError
from instseg.core.types import CocoDict
from instseg.data.splits.select import seeded_order, select_images
from instseg.data.splits.stratify import stratify

MAX_FOLDS = 1000


def split_images(
    coco: CocoDict, ratios: Mapping[str, float], seed: int, groups: Mapping[str, str] | None = None
) -> dict[str, CocoDict]:
    """Divide into named parts by their ratios, alike in categories: see ``stratify``.

    A crowd does not count as an instance.

    Args:
        coco: the labels.
        ratios: part -> its size on any scale, above 0.
        seed: of the division.
        groups: file name -> group, which is not divided; an image that is not in it stands alone.

    Raises:
        InstsegError: there are fewer groups than parts.
    """
    images, names = coco["images"], {category["id"]: str(category["name"]) for category in coco["categories"]}
    shows: defaultdict[int, set[str]] = defaultdict(set)
    for annotation in coco["annotations"]:
        if not annotation.get("iscrowd"):
            shows[annotation["image_id"]].add(names[annotation["category_id"]])
    ranks = {image["id"]: rank for rank, image in enumerate(seeded_order(images, seed))}
    parts = stratify(
        [shows[image["id"]] for image in images],
        ratios,
        [_group_of(image["file_name"], groups or {}) for image in images],
        [ranks[image["id"]] for image in images],
    )
    ids: dict[str, list[int]] = {name: [] for name in ratios}
    for image, part in zip(images, parts, strict=True):
        ids[part].append(image["id"])
    return {name: select_images(coco, part) for name, part in ids.items()}


def _group_of(file_name: str, groups: Mapping[str, str]) -> tuple[bool, str]:
    return (True, groups[file_name]) if file_name in groups else (False, file_name)


def fold_images(
    coco: CocoDict, folds: int, fold: int, seed: int, groups: Mapping[str, str] | None = None
) -> dict[str, CocoDict]:
    """Take one of several parts of about equal size as ``val``, all others as ``train``: each image is once in ``val``.

    Args:
        coco: the labels.
        folds: number of parts.
        fold: the part that is ``val``, from 0.
        seed: of the division.
        groups: as in ``split_images``.

    Raises:
        InstsegError: as ``split_images``; fewer than two folds, or a fold that is not among them.
    """
    check_folds(folds, fold)
    parts = split_images(coco, {f"fold {i}": 1.0 for i in range(folds)}, seed, groups)
    val = parts[f"fold {fold}"]
    in_val = {image["id"] for image in val["images"]}
    return {"train": select_images(coco, [i["id"] for i in coco["images"] if i["id"] not in in_val]), "val": val}


def check_folds(folds: int, fold: int) -> None:
    """Check the options of a cross-validation.

    Args:
        folds: number of parts.
        fold: the part that is ``val``, from 0.

    Raises:
        InstsegError: there are fewer than two folds or too many, or the fold is not among them.
    """
    if not 2 <= folds <= MAX_FOLDS:
        raise InstsegError(f"dataset.folds={folds}: expected 2 or more, up to {MAX_FOLDS}, or null for none")
    if not 0 <= fold < folds:
        raise InstsegError(f"dataset.fold={fold}: expected 0 to {folds - 1}, as dataset.folds={folds}")
