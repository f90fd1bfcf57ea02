"""Report of what was left out or repaired while the labels were read, and a check that enough is left."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from instseg.auditing.report import MAX_SPOTS, AuditFinding, Severity, Spot
from instseg.auditing.tables import Tables
from instseg.data.reading.findings import KINDS, LEFT_OUT, Findings
from instseg.data.reading.labels import UNSPLIT

LOST_IMAGES = ("image_missing", "image_unreadable", "image_size_differs")
MAX_LOST_FRACTION = 0.5
WARNED = (
    *(
        "box_only",
        "box_rotated",
        "mask_semantic",
        "regions_as_instances",
        "bbox_misread",
        "bbox_differs",
        "mask_transposed",
    ),
    *(
        "box_outside",
        "area_differs",
        "hole_filled",
        "crowd_invalid",
        "groups_alike",
        "mask_background",
        "mask_values_recur",
        "image_bands",
        "image_pages",
    ),
    *("prediction_in_train", "prediction_in_any"),
)
"""Repairs and other findings that change what is learnt or measured: warnings."""
SLIPS, MAX_SLIPS_FRACTION = ("bbox_differs", "area_differs", "hole_filled"), 0.01
"""Remarks while they concern at most this fraction of all instances, as in any large dataset."""
FATAL = ("mask_of_classes", "mask_values_encoded")
"""Remarks that make the labels other ones than were drawn."""
HARMLESS = (
    *("image_unlabelled", "image_labelled_twice", "label_file_foreign", "task_skipped", "task_unlabelled"),
    *("category_ignored", "shape_repeated", "prediction_left_out", "resembles_measured", "box_ignored"),
)
"""Kinds that most people leave out on purpose, or lose nothing by: remarks."""
PREDICTIONS = (
    "Correct them; where a prediction is right as it is, tick the box 'checked' in LabelMe, or set the star (ground "
    "truth) in Label Studio. "
)
ADVICE = {
    "prediction_in_train": PREDICTIONS + "dataset.predictions=leave_out trains without them.",
    "prediction_in_any": PREDICTIONS + "A network that is measured on its own predictions is praised for its errors.",
    "prediction_measured": PREDICTIONS + "dataset.predictions=any measures on them all the same.",
    "prediction_left_out": PREDICTIONS,
    "resembles_measured": "Nothing needs to be done: trained on, they would flatter the metrics.",
    "image_missing": "Copy the images to where they were sought, or delete their entries from the labels.",
    "image_outside": "Give the folder above both as dataset.root, or read them if you trust whoever made the labels.",
    "address_refused": "Only http(s), s3, gs and az are fetched; name the folder of the images: "
    "dataset=labelstudio dataset.images=FOLDER.",
    "image_unreadable": "Replace these files by intact copies; the next run uses them.",
    "image_size_differs": "The image was resized or replaced after it was labelled: restore the labelled one.",
    "image_unlabelled": "Label them too if they belong to the dataset; otherwise nothing needs to be done.",
    "label_unmatched": "Name each after its image, or put its image back: one without a text file has no instances.",
    "image_unknown": "Export the labels again: a part of them is lost.",
    "category_unknown": "Export the labels again: a part of their categories is lost.",
    "category_unnamed": "Put the table of their names beside the labels, or name them by dataset.rename.",
    "shape_invalid": "Draw these shapes again in the annotation tool, or delete them.",
    "shape_degenerate": "Delete these shapes in the annotation tool; most are clicks that went wrong.",
    "box_only": "The network will draw filled boxes for such objects: draw polygons if masks matter.",
    "box_rotated": "The network will draw rectangles for such objects: draw polygons if masks matter.",
    "box_taught": "Their masks are learnt from the instances that have some; draw more if masks are poor.",
    "box_ignored": "Nothing needs to be done; dataset.box_only=boxes learns from their boxes.",
    "mask_semantic": "Objects that touch are one for the network: draw each on its own if they are to be counted.",
    "regions_as_instances": "Objects that touch are one for the network, and parted ones are several: check some.",
    "bbox_misread": "Training is right, for it takes the boxes of the masks; read the boxes as they are meant.",
    "bbox_differs": "Look at some: either the boxes or the masks belong to other objects.",
    "mask_transposed": "The masks are probably wrong as they are: read them as they are meant, and look at some.",
    "box_outside": "The boxes are probably wrong as they are: read them as they are meant, and look at some.",
    "area_differs": "Export the labels again, or take the areas out: those of the masks are used where there are none.",
    "hole_filled": "If these are holes, read the labels with dataset.holes=cut; if not, delete the inner polygons.",
    "mask_of_classes": "Name the values, so that each connected region is an object of its category.",
    "mask_values_encoded": "Read them as such, and name the categories.",
    "mask_values_recur": "If they are categories, name the values; objects numbered through a video are right.",
    "mask_background": "If it is the background, say so.",
    "encoding_guessed": "Where a name is not what was written, save the files in UTF-8, or use dataset.rename.",
    "image_bands": "Opacity and near infrared are not seen by the network; nothing else needs to be done.",
    "image_pages": "If the labels were drawn on another page, write each page as a file of its own.",
    "image_value_range": "If some come out dark, or another range is meant: dataset.value_range=[0,4095] for 12 bits.",
    "groups_alike": "If they are several objects, read each shape as an instance.",
    "shape_fractions": "Read them as fractions of width and height.",
    "part_degenerate": "Nothing needs to be done; the annotation tool may show stray points to delete.",
}
SOME_BOXES = (
    " As other instances have masks, these can teach boxes and categories alone, which leaves the masks as they are.",
    "dataset.box_only=boxes",
)
"""Advice for boxes without masks among instances with masks."""
FIX = "Fix them in the annotation tool if they matter; findings.json names all."
NOTHING = "Nothing needs to be done; findings.json names all."
SHAPE_NAME = re.compile(r"annotation (-?\d+) of ")
OPTION = re.compile(r"\b(dataset=[a-z_]+ )?dataset\.[a-z_]+=[a-z]+\b")
REASON = re.compile(r" \((.*)\)$|: (.*)$", re.DOTALL)


def reading_findings(
    read: Mapping[str, Findings], roots: Mapping[str, str], num_instances: int = 0
) -> list[AuditFinding]:
    """Report each kind of finding of the readers; the frame of EXIF has its own check.

    Args:
        read: split -> what was found while its labels were read.
        roots: split -> the folder in which its images were sought.
        num_instances: of all splits.
    """
    kinds = dict.fromkeys(kind for found in read.values() for kind in found.names if not kind.startswith("exif_"))
    return [_finding(kind, read, roots, num_instances) for kind in kinds if kind != "ignores_exif"]


def _finding(kind: str, read: Mapping[str, Findings], roots: Mapping[str, str], num_instances: int) -> AuditFinding:
    names = {split: found.names[kind] for split, found in read.items() if kind in found.names}
    of_all = next(iter(roots.values()), "")  # before the images were divided
    spots = [
        spot_of(split, name, roots.get(split, of_all)) for split, listed in names.items() for name in listed[:MAX_SPOTS]
    ]
    severity = _severity(kind)
    if kind in SLIPS and sum(map(len, names.values())) <= MAX_SLIPS_FRACTION * num_instances:
        severity = Severity.INFO
    advice = ADVICE.get(kind, NOTHING if severity == Severity.INFO else FIX)
    if kind == "image_missing":
        advice += f" Sought in {', '.join(dict.fromkeys(roots.values()))}."
    counts = {split: len(listed) for split, listed in names.items()}
    commands = _options_in([name for listed in names.values() for name in listed])
    if kind == "box_only" and sum(counts.values()) < num_instances:
        advice, commands = advice + SOME_BOXES[0], (SOME_BOXES[1],)
    return AuditFinding(kind, severity, KINDS[kind], counts, tuple(spots[:MAX_SPOTS]), advice, commands)


def _options_in(names: list[str]) -> tuple[str, ...]:
    """Return the options that the details of the findings advise, the most frequent first."""
    found = Counter(option[0] for option in map(OPTION.search, names) if option)
    return tuple(option for option, _ in found.most_common(2))


def _severity(kind: str) -> Severity:
    if kind in FATAL:
        return Severity.FATAL
    is_loud = (kind in LEFT_OUT and kind not in HARMLESS) or kind in WARNED
    return Severity.WARNING if is_loud else Severity.INFO


def spot_of(split: str, name: str, root: str = "") -> Spot:
    """Parse a name of the findings: ``annotation 7 of a.jpg``, ``a.jpg (why)``, ``a.jpg: why``, or both.

    Args:
        split: of the findings.
        name: as the findings have it.
        root: folder that a file name may begin with.
    """
    shape = SHAPE_NAME.match(name)
    start = shape.end() if shape else 0
    reason = REASON.search(name, start)
    file_name = name[start : reason.start() if reason else None].removeprefix(f"{root}/")
    why = (reason[1] or reason[2]) if reason else f"annotation {shape[1]}" if shape else ""
    return Spot(split, file_name, why, annotation_id=int(shape[1]) if shape else None)


def lost_images(read: Mapping[str, Findings], tables: Tables) -> list[AuditFinding]:
    """Report, as fatal, splits of which more than half of the images cannot be used.

    A wrong folder is the usual reason; a user who has only a part of the images, as after an interrupted download, can
    accept the finding.

    Args:
        read: split -> what was found while its labels were read.
        tables: of all splits.
    """
    sizes = {split: len(tables[split].index) for split in ("train", "val") if split in tables}
    sizes[UNSPLIT] = sum(len(table.index) for table in tables.values())
    lost = {split: num_lost(read, split) for split in sizes}
    counts = {split: count for split, count in lost.items() if count > MAX_LOST_FRACTION * (count + sizes[split])}
    if not counts:
        return []
    lost_names = [(split, name) for split in counts for kind in LOST_IMAGES for name in read[split].names.get(kind, [])]
    roots = {split: str(tables["train" if split == UNSPLIT else split].index.image_root) for split in counts}
    spots = tuple(spot_of(split, name, roots[split]) for split, name in lost_names[:MAX_SPOTS])
    advice = "Give the folder that holds the images as dataset.root, or take the missing ones out of the labels."
    splits = " and ".join("all" if split == UNSPLIT else split for split in counts)
    title = f"images that cannot be used, more than half of {splits}"
    return [AuditFinding("images_lost", Severity.FATAL, title, counts, spots, advice)]


def num_lost(read: Mapping[str, Findings], split: str) -> int:
    """Count the listed images of a split that are not in its index.

    Args:
        read: split -> what was found while its labels were read.
        split: its name.
    """
    return sum(len(read[split].names.get(kind, [])) for kind in LOST_IMAGES) if split in read else 0
