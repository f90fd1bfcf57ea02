"""Corrections of a COCO file: only the annotations in question change, all else of the file stays as it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instseg.core.files import read_json, write_json
from instseg.core.masks import rle_area, rle_to_box
from instseg.core.polygons import rle_to_polygons
from instseg.core.types import CocoAnnotation, CocoCategory, CocoDict, CocoImage, Rle
from instseg.data.formats.coco.ids import Ids, whole_number
from instseg.data.formats.coco.reader import CocoReader, load_coco
from instseg.data.reading.corrections import Correction, Corrections, Label, Proposed, mask_of, match_labels
from instseg.data.reading.findings import Findings

DECIMALS = 2  # of px


def propose(reader: CocoReader, corrections: Corrections, folder: Path) -> Proposed:
    """Write a corrected copy of each annotation file that labels one of the images.

    Args:
        reader: of the labels.
        corrections: of its images.
        folder: where the copies are written, at their paths below the root.
    """
    root = reader.root.parent if reader.root.is_file() else reader.root
    proposed = Proposed()
    for file in (one for folders in reader.find().values() for one in folders):
        labels = load_coco(file, Findings())
        images = {image["id"]: (labels.image_root / image["file_name"]).resolve() for image in labels.coco["images"]}
        wanted = {image_id: corrections[path] for image_id, path in images.items() if path in corrections}
        if wanted:
            coco = read_json(file.annotation_file)
            proposed.num_placed += correct(coco, wanted)
            path = file.annotation_file
            copy = folder / (path.relative_to(root) if path.is_relative_to(root) else path.name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_json(copy, coco)
            proposed.files.append(copy)
    return proposed


def correct(coco: CocoDict, corrections: dict[int, Sequence[Correction]]) -> int:
    """Correct the labels of some images, in place.

    Args:
        coco: content of an annotation file.
        corrections: image_id as a number -> what changes about its labels.

    Returns:
        How many of the corrections were made; the labels of the others were not found.
    """
    corrected = _Corrected(coco)
    for image in coco["images"]:
        number = corrected.image_ids.number(image.get("id"))
        if number is not None and number in corrections:
            corrected.apply(image, number, corrections.pop(number))
    coco["annotations"] = [one for one in coco["annotations"] if id(one) not in corrected.gone]
    return corrected.num_placed


@dataclass(slots=True)
class _Found:
    image: CocoImage
    annotation: CocoAnnotation | None


class _Corrected:
    """The content of a file while it is corrected."""

    def __init__(self, coco: CocoDict) -> None:
        self.coco, self.num_placed = coco, 0
        self.gone: set[int] = set()
        self.image_ids = Ids(image.get("id") for image in coco["images"])
        self.categories = {str(category["name"]): category for category in coco["categories"]}
        self.names = {str(category["id"]): str(category["name"]) for category in coco["categories"]}
        self.of_image: defaultdict[int | None, list[CocoAnnotation]] = defaultdict(list)
        for one in coco["annotations"]:
            self.of_image[self.image_ids.number(one.get("image_id"))].append(one)
        numbers = (whole_number(one.get("id")) for one in coco["annotations"])
        self.free = max((number for number in numbers if number is not None), default=0) + 1

    def apply(self, image: CocoImage, number: int, corrections: Sequence[Correction]) -> None:
        """Make the corrections of one image."""
        annotations = self.of_image[number]
        labels = [self._label(one, corrections) for one in annotations]
        for correction, place in zip(corrections, match_labels(corrections, labels), strict=True):
            if place is None and correction.before is not None:
                continue
            self.num_placed += 1
            found = _Found(image, None if place is None else annotations[place])
            self._make(correction, found)

    def _label(self, one: CocoAnnotation, corrections: Sequence[Correction]) -> Label | None:
        some = next(label for c in corrections for label in (c.before, c.after) if label is not None)
        height, width = some.rle["size"]
        rle = mask_of(one, (height, width))
        return None if rle is None else Label(self.names.get(str(one.get("category_id")), ""), rle)

    def _make(self, correction: Correction, found: _Found) -> None:
        annotation = found.annotation
        if correction.after is None:
            self.gone.add(id(annotation))
            return
        if annotation is None:
            annotation = {"id": self.free, "image_id": found.image["id"], "iscrowd": 0}
            self.free += 1
            self.coco["annotations"].append(annotation)
        if correction.is_redrawn:
            _draw(annotation, correction.after.rle)
        if correction.before is None or correction.before.category != correction.after.category:
            annotation["category_id"] = self._category_id(correction.after.category)

    def _category_id(self, name: str) -> int:
        if name not in self.categories:
            numbers = [whole_number(category["id"]) or 0 for category in self.coco["categories"]]
            self.categories[name] = CocoCategory(id=max(numbers, default=0) + 1, name=name)
            self.coco["categories"].append(self.categories[name])
        return self.categories[name]["id"]


def _draw(annotation: CocoAnnotation, rle: Rle) -> None:
    """Give an annotation another area, as an RLE where it was one, else as polygons."""
    if isinstance(annotation.get("segmentation"), dict):
        annotation["segmentation"] = {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}
    else:
        polygons = rle_to_polygons(rle)
        annotation["segmentation"] = [polygon.round(DECIMALS).reshape(-1).tolist() for polygon in polygons]
    x1, y1, x2, y2 = rle_to_box(rle).tolist()
    annotation["bbox"], annotation["area"] = [x1, y1, x2 - x1, y2 - y1], rle_area(rle)
