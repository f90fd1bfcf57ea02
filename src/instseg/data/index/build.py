"""From a COCO dictionary to the index, checking every shape on the way.

An unusable image or shape is left out of the index, never of the record: each case is counted and named in the
findings, which are logged, kept beside the index and copied into the run folder.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.text import list_names, plural
from instseg.core.types import CocoAnnotation, CocoDict, ImageSize
from instseg.data.index.columns import Index
from instseg.data.index.shapes import FractionsError, read_shape
from instseg.data.index.writer import NOTHING_UNLABELLED, IndexWriter
from instseg.data.reading.coco_text import whole
from instseg.data.reading.findings import Findings, reasons
from instseg.data.reading.frames import ListedImage, labelled_frame
from instseg.data.reading.image_kinds import note_kind, range_used
from instseg.data.reading.label_rules import COCO_RULES, LabelRules

log = logging.getLogger(__name__)


def write_index(
    coco: CocoDict,
    images: Iterable[ListedImage],
    image_root: Path,
    categories: Categories,
    folder: Path,
    is_upright: Callable[[ListedImage], bool],
    findings: Findings,
    rules: LabelRules = COCO_RULES,
    unlabelled: Mapping[str, tuple[int, ...]] = NOTHING_UNLABELLED,
) -> None:
    """Write the index of one split.

    Args:
        coco: the labels.
        images: one for each entry, in their order.
        image_root: the folder that file names start from.
        categories: those of the index; annotations of others are left out.
        folder: of the index; must not exist.
        is_upright: see ``decide_frames``.
        findings: where unusable and repaired labels are noted.
        rules: options of how shapes are read.
        unlabelled: name of a source -> labels of the categories that it has not labelled completely.
    """
    counts = plural(len(coco["images"]), "image"), plural(len(coco["annotations"]), "annotation")
    log.info("indexing %s: %s, %s", folder.name, *counts)
    id_to_label = categories.id_to_label(coco["categories"])
    annotations = defaultdict(list)
    for annotation in coco["annotations"]:
        if annotation["category_id"] in id_to_label:
            annotations[annotation["image_id"]].append(annotation)
    with IndexWriter(folder, image_root, categories, rules.value_range, unlabelled) as writer:
        for image in images:
            frame = labelled_frame(image, is_upright, findings)
            if frame is None:
                continue
            image_size, upright = frame
            _note_exif(image, upright, findings)
            note_kind(image, findings)
            writer.add_image(image.entry["id"], image.entry["file_name"], image_size, upright, image.source)
            for annotation in annotations[image.entry["id"]]:
                name = f"annotation {annotation['id']} of {image.entry['file_name']}"
                label = id_to_label[annotation["category_id"]]
                _add_instance(writer, whole(annotation), label, name, image_size, rules, findings)


def with_range(
    rules: LabelRules, images: Mapping[str, Sequence[ListedImage]], findings: Mapping[str, Findings]
) -> LabelRules:
    """Return the rules with the range of 16 bits that the images use together, unless one is given.

    Args:
        rules: options of how images and shapes are read.
        images: split -> its images.
        findings: split -> where the images are noted that use fewer bits.
    """
    return rules if rules.value_range else replace(rules, value_range=range_used(images, findings))


def _note_exif(image: ListedImage, upright: bool, findings: Findings) -> None:
    """Note images that are turned, and those whose size leaves the frame open; ``ignores_exif`` names the others."""
    if image.header is not None and image.header.orientation != 1:
        if upright:
            findings.add("exif_applied", image.entry["file_name"])
        if image.labelled_upright is None:
            findings.add("exif_undecided", image.entry["file_name"])


def _add_instance(
    writer: IndexWriter,
    annotation: CocoAnnotation,
    label: int,
    name: str,
    image_size: ImageSize,
    rules: LabelRules,
    findings: Findings,
) -> None:
    try:
        shape = read_shape(annotation, image_size, rules)
    except FractionsError as error:
        findings.add("shape_fractions", f"{name} ({error})")
        return
    except InstsegError as error:
        findings.add("shape_invalid", f"{name}: {error}")
        return
    if shape is None:
        findings.add("shape_degenerate", name)
        return
    for kind, detail in shape.remarks:
        findings.add(kind, f"{name} ({detail})" if detail else name)
    is_crowd = bool(annotation.get("iscrowd")) or (shape.is_box and rules.box_only == "ignore")
    has_mask = is_crowd or not (shape.is_box and rules.box_only == "boxes")
    writer.add_instance(annotation["id"], label, shape.box, shape.area, is_crowd, shape.parts, has_mask)


def check_not_empty(folder: Path, image_root: Path, findings: Mapping[str, Findings]) -> None:
    """Require a usable image in a split, and an instance with a mask in train.

    Args:
        folder: of the index of a split, whose name it has.
        image_root: the folder that its images were sought in.
        findings: split -> what was found, which is the likely reason.

    Raises:
        InstsegError: there is none; the message gives each kind of finding with an example.
    """
    index = Index(folder)
    if len(index) and (folder.name != "train" or index.num_instances):
        _check_some_mask(index)
        return
    why = reasons(*findings.values())
    if len(index) == 0:
        raise InstsegError(
            f"split {folder.name}: none of its images could be used; they were sought in {image_root}{why}"
        )
    raise InstsegError(
        f"split train: no image has an instance of {list_names(index.categories.names)}{_crowds_of(index)}{why}"
    )


def _check_some_mask(index: Index) -> None:
    has_mask, is_crowd = index.column("has_mask"), index.column("iscrowd")
    if index.folder.name == "train" and not (has_mask & ~is_crowd).any():
        raise InstsegError(
            f"split train: none of its {plural(index.num_instances, 'instance')} has a mask to learn; "
            "dataset.box_only=filled takes boxes as masks"
        )


def _crowds_of(index: Index) -> str:
    """Describe how many regions of each category are marked as crowd, and the way out; nothing where there are none."""
    marked = Counter(index.column("labels")[index.column("iscrowd")].tolist())
    if not marked:
        return ""
    counts = list_names(f"{count} of {index.categories.name(label)}" for label, count in sorted(marked.items()))
    return f": all are marked as crowd (iscrowd 1), {counts}; dataset.crowd=keep takes them as instances"
