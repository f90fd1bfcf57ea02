"""Everything that was left out or repaired while labels were read: counted and named, never silent.

To find the code behind a kind, search for its name in quotes: the readers in ``formats`` add most of them, and
``index.build`` and ``reading.frames`` those that hold for every format. Advice for users: ``auditing.checks_reading``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from instseg.core.text import list_names

LEFT_OUT = {
    "image_missing": "image files do not exist; left out",
    "image_unreadable": "image files cannot be read; left out",
    "image_size_differs": "images differ in size from their labels; left out",
    "image_unknown": "annotations belong to no listed image; left out",
    "image_unlabelled": "image files have no labels; left out",
    "image_labelled_twice": "image files have labels in a second place too, which are left out",
    "image_only_embedded": "images exist only inside their label files, and no cache_dir is given; left out",
    "label_file_foreign": "files among the labels are of another kind; skipped",
    "image_not_fetched": "images could not be fetched from where they are kept",
    "image_outside": "images are outside of the dataset; left out",
    "address_refused": "images have addresses that are not fetched, as http, s3, gs and az are; left out",
    "task_skipped": "tasks were skipped by whoever labelled; left out",
    "task_unlabelled": "tasks have no annotation yet; left out",
    "label_unmatched": "label files belong to no image; left out",
    "label_invalid": "label files, or entries in them, cannot be read; left out",
    "category_missing": "instances have no category; left out",
    "category_ignored": "shapes are marked as no class (__ignore__, _background_); left out",
    "shape_open": "points and lines enclose no area; left out",
    "shape_repeated": "instances are listed twice, word for word; one of each is left out",
    "image_unlisted": "images are in none of the lists of splits; left out",
    "mask_invalid": "mask files cannot be used; left out",
    "mask_missing": "masks that the labels list do not exist; left out",
    "mask_unlisted": "mask files are not in the labels; left out",
    "mask_unmatched": "masks belong to no image or to no object; left out",
    "mask_value_unknown": "pixel values in masks stand for no known category; left out",
    "prediction_measured": "images of val or test are labelled by predictions that nobody has changed; left out",
    "prediction_left_out": "images are labelled by predictions that nobody has changed; left out, as asked",
    "resembles_measured": "images to add to train look like an image of val or test; left out",
    "split_repeated": "splits are the very images of another split; left out",
    "category_unknown": "annotations have a category_id that is not listed; left out",
    "shape_invalid": "instances have no usable shape; left out",
    "shape_degenerate": "instances have no area inside the image; left out",
    "shape_fractions": "instances have coordinates that look like fractions of the image, not pixels; left out",
    "box_ignored": "instances have a box but no mask; what lies there is neither instance nor background, as asked",
}
REPAIRED = {
    "box_only": "instances have a box but no mask; the box is used as the mask",
    "box_rotated": "instances are rotated rectangles, which are used as their masks",
    "part_degenerate": "instances had a polygon part of fewer than three points; their other parts are used",
    "image_embedded": "images exist only inside their label files; written to the cache and read from there",
    "image_own_name": "label files name another image than the one that has their own name, which is used",
    "shape_unusual": "instances have a segmentation in another form than COCO's that has one meaning; read so",
    "bbox_misread": "bboxes disagree with their masks, whose own boxes are used, and would agree if read differently",
    "bbox_differs": "bboxes disagree with their masks, whose own boxes are used",
    "crowd_invalid": "annotations have an iscrowd other than 0 and 1; read as 0",
    "image_found_elsewhere": "images are not where the labels say; found by the end of their path, in another spelling",
    "label_respelled": "label files are spelled otherwise than their images (case, accents, %20); used all the same",
    "image_repeated": "images are listed more than once; they are one, with the labels of all entries",
    "encoding_guessed": "label files are not surely in UTF-8; the encoding is guessed from their letters",
    "several_annotators": "images were labelled more than once; the ground truth is used, else the latest",
    "several_labels": "instances have several labels; the first is used",
    "exif_unscaled": "images turned by EXIF had their polygons scaled to the size before the turn; put right",
    "score_ignored": "instances have a score, as predictions do; it is not used",
    "category_unnamed": "categories have no name in the labels; one is made up",
    "mask_semantic": "images have masks of categories, which do not tell instances apart; their boxes are used",
    "mask_softened": "masks have soft edges; cut at half between black and white",
    "regions_as_instances": "images have masks that do not tell instances apart; each connected region is one",
    "split_ambiguous": "images are in the lists of several splits; they are in test, else in val",
    "ignores_exif": "images are labelled in the frame before EXIF rotation; read that way",
}
NOTED = {
    "prediction_in_train": "images are labelled by predictions that nobody has changed; in train only",
    "prediction_in_any": "images are labelled by predictions that nobody has changed; in any split, as asked",
    "category_unlisted": "categories are listed by other splits only; joined by name",
    "groups_alike": "labels give all shapes of a label the same group in every image, so that they are one instance",
    "mask_of_classes": "mask folders seem to hold categories, not instances: all of a category are read as one object",
    "mask_values_encoded": "mask folders seem to hold category * divisor + number: each value is read as an object",
    "mask_values_recur": "mask folders have the same few values again and again, as categories have: read as objects",
    "mask_background": "mask folders have a value around all objects, as a background has: it is read as an object",
    "image_bands": "images have more bands than red, green and blue; the others are not used",
    "image_pages": "image files have several pages; the first is used",
    "image_value_range": "images use fewer than their 16 bits; all are scaled by the bits of the brightest",
    "box_taught": "instances have a box but no mask; they teach boxes and categories, and mask AP does not count them",
    "split_missing": "splits that the labels name are not there; they are taken from the others",
    "files_joined": "label files of one split are read as one",
    "annotation_numbered": "annotations have no whole number as their id; they are numbered anew",
    "mask_transposed": "masks disagree with their bboxes, and would agree with x and y swapped",
    "box_outside": "boxes without a mask reach out of their image, and would not if read differently",
    "area_differs": "areas are not those of their masks; they decide which instances count as small or large",
    "area_of_box": "areas are those of boxes, not of masks; they decide which instances count as small or large",
    "hole_filled": "instances have a polygon inside another, as holes are drawn, which is filled",
    "exif_applied": "images are turned by their EXIF orientation, in which frame they were labelled",
    "exif_undecided": "images have an EXIF orientation, and their size does not tell in which frame they were labelled",
}
KINDS = LEFT_OUT | REPAIRED | NOTED


@dataclass(slots=True)
class Findings:
    """Kind -> names of the images or annotations concerned."""

    names: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, name: str) -> None:
        """Count one image or annotation.

        Args:
            kind: one of ``KINDS``.
            name: the image or annotation concerned, maybe with the reason.
        """
        self.names[kind].append(name)

    def to_dict(self) -> dict[str, dict[str, object]]:
        """Return the findings as ``findings.json`` has them, as plain containers."""
        return {kind: {"count": len(n), "meaning": KINDS[kind], "names": n} for kind, n in sorted(self.names.items())}


def told(kind: str, names: Sequence[str]) -> str:
    """Return a kind of finding with its count and the first names: ``image files do not exist; left out: 3 (a, b …)``.

    Args:
        kind: one of ``KINDS``.
        names: the images or annotations concerned.
    """
    return f"{KINDS[kind]}: {len(names):,} ({list_names(names, 2)})"


def reasons(*findings: Findings) -> str:
    """Return the end of a message: each kind of finding with its count and first names, after a semicolon."""
    found = (item for some in findings for item in some.names.items() if item[1])
    return "".join(f"; {told(kind, names)}" for kind, names in found)
