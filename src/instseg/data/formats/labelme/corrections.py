"""Corrections of LabelMe json: only the shapes in question change, all else of a file stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from instseg.core.files import read_json, write_json
from instseg.core.polygons import rle_to_polygons
from instseg.core.prediction_mark import LABELME_DECIMALS
from instseg.core.types import ImageSize, Rle
from instseg.data.formats.labelme.images import LabelmeImages
from instseg.data.formats.labelme.parts import add_instance
from instseg.data.formats.labelme.reader import LabelmeReader
from instseg.data.formats.labelme.shapes import Instance, read_instances
from instseg.data.reading.corrections import Correction, Corrections, Label, Proposed, mask_of, match_labels
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import LabelsBuilder

Shape = dict[str, object]
GEOMETRY = ("points", "shape_type", "mask")


def propose(reader: LabelmeReader, corrections: Corrections, folder: Path) -> Proposed:
    """Write a corrected copy of the json of each image.

    Args:
        reader: of the labels.
        corrections: of its images.
        folder: where the copies are written, at their paths below the root.
    """
    images, proposed, left = LabelmeImages(reader.root, reader.cache_dir), Proposed(), dict(corrections)
    files = [path for path in reader.label_files() if path.suffix.lower() == ".json"]
    names = {path: PurePosixPath(path.relative_to(reader.root).as_posix()) for path in files}
    for path in sorted(files, key=lambda path: images.own(names[path]) is None):  # in the order of the reader
        content = read_json(path)
        name = images.image_of(names[path], content, Findings()) if isinstance(content, dict) else None
        changes = left.pop((reader.root / name).resolve(), None) if name is not None else None
        if changes is None or not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            continue
        proposed.num_placed += correct(content["shapes"], changes, reader.groups == "join")
        copy = folder / names[path]
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_json(copy, content, indent=2)
        proposed.files.append(copy)
    return proposed


def correct(shapes: list[object], corrections: Sequence[Correction], joins_groups: bool = True) -> int:
    """Correct the shapes of an image, in place.

    Args:
        shapes: the list of a json.
        corrections: of its image.
        joins_groups: as the labels are read.

    Returns:
        How many of the corrections were made; the labels of the others were not found.
    """
    some = next(label for one in corrections for label in (one.before, one.after) if label is not None)
    height, width = some.rle["size"]
    instances = read_instances(shapes, "", Findings(), joins_groups)
    labels = [_label(one, (height, width)) for one in instances]
    places = match_labels(corrections, labels)
    edited = _Edited(shapes)
    made = [(one, place) for one, place in zip(corrections, places, strict=True) if place is not None or not one.before]
    for correction, place in made:
        edited.make(correction, None if place is None else instances[place])
    shapes[:] = [shape for number, shape in enumerate(shapes) if number not in edited.gone]
    return len(made)


def _label(instance: Instance, image_size: ImageSize) -> Label | None:
    builder = LabelsBuilder()
    add_instance(builder, 1, instance.label, instance.parts, image_size)
    rle = mask_of(builder.annotations[0], image_size)
    return None if rle is None else Label(instance.label, rle)


class _Edited:
    """The shapes of a json while they are corrected; what goes is only noted, so that places stay."""

    def __init__(self, shapes: list[object]) -> None:
        self.shapes, self.gone = shapes, set[int]()
        groups = [shape.get("group_id") for shape in shapes if isinstance(shape, dict)]
        self.free_group = max((group for group in groups if isinstance(group, int)), default=0) + 1

    def make(self, correction: Correction, instance: Instance | None) -> None:
        """Make one correction.

        Args:
            correction: of the image.
            instance: the one that it is about; None for a new one.
        """
        after = correction.after
        if instance is None or after is None or correction.is_redrawn:
            like: Shape = self._shape(instance.places[0]) if instance else {"description": "", "flags": {}}
            self.gone |= set(instance.places) if instance else set()
            if after is not None:
                is_renamed = correction.before is None or correction.before.category != after.category
                label = instance.label if instance and not is_renamed else after.category
                self.shapes += self._drawn(like, label, after.rle)
            return
        for place in instance.places:
            if (shape := self._shape(place)).get("label") == instance.label:
                shape["label"] = after.category

    def _shape(self, place: int) -> Shape:
        shape = self.shapes[place]
        assert isinstance(shape, dict)  # read_instances takes no other
        return shape

    def _drawn(self, like: Shape, label: str, rle: Rle) -> list[object]:
        """Return the shapes of a label, with what else the first of them said before."""
        polygons = _polygons(rle)
        group = like.get("group_id")
        if len(polygons) > 1 and group is None:
            group, self.free_group = self.free_group, self.free_group + 1
        others = {key: value for key, value in like.items() if key not in GEOMETRY}
        own = {"label": label, "group_id": group, "shape_type": "polygon"}
        return [{**others, **own, "points": points} for points in polygons]


def _polygons(rle: Rle) -> list[list[list[float]]]:
    return [polygon.round(LABELME_DECIMALS).tolist() for polygon in rle_to_polygons(rle)]
