"""Corrections of Label Studio's tasks: only the regions in question change, all else of an export stays as it is."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from instseg.core.files import write_json
from instseg.core.masks import rle_to_bitmask, rle_to_box
from instseg.core.polygons import join_polygons, rle_to_polygons
from instseg.core.prediction_mark import LABELSTUDIO_DECIMALS
from instseg.core.types import CocoDict, ImageSize, Rle
from instseg.data.formats.coco import corrections as coco
from instseg.data.formats.labelstudio.brush_rle import encode_brush_rle
from instseg.data.formats.labelstudio.reader import Export, LabelStudioReader
from instseg.data.formats.labelstudio.shapes import add_region, kind_of, read_regions
from instseg.data.formats.labelstudio.tasks import Task
from instseg.data.reading.corrections import Correction, Corrections, Label, Proposed, mask_of, match_labels
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import LabelsBuilder

Result = dict[str, object]
Value = dict[str, object]


def _polygon(rle: Rle) -> Value:
    """Return one polygon in percent; parts and holes are joined by seams."""
    height, width = rle["size"]
    points = join_polygons(rle_to_polygons(rle)) * 100 / (width, height)
    return {"points": points.round(LABELSTUDIO_DECIMALS).tolist(), "closed": True}


def _brush(rle: Rle) -> Value:
    return {"format": "rle", "rle": encode_brush_rle(rle_to_bitmask(rle))}


def _box(rle: Rle) -> Value:
    height, width = rle["size"]
    x1, y1, x2, y2 = rle_to_box(rle).tolist()
    sides = {"x": x1 / width, "y": y1 / height, "width": (x2 - x1) / width, "height": (y2 - y1) / height}
    return {**{key: round(100 * side, LABELSTUDIO_DECIMALS) for key, side in sides.items()}, "rotation": 0}


WRITTEN: dict[str, Callable[[Rle], Value]] = {"polygon": _polygon, "brush": _brush, "box": _box}
"""Kinds of shapes that are drawn anew, the preferred one for new labels first."""
GEOMETRY = ("points", "closed", "vertices", "format", "rle", "imageDataURL", "x", "y", "width", "height", "rotation",
            "radiusX", "radiusY")  # fmt: skip


def propose(reader: LabelStudioReader, corrections: Corrections, folder: Path) -> Proposed | None:
    """Write a corrected copy of each export that labels one of the images.

    Args:
        reader: of the labels.
        corrections: of its images.
        folder: where the copies are written, at their paths below the root.

    Returns:
        The copies; None for JSON-MIN, which is no form that Label Studio imports.
    """
    proposed, root = Proposed(), reader.root.parent if reader.root.is_file() else reader.root
    left = dict(corrections)
    for export in reader.exports():
        if any(task.listed is None for task, _ in export.tasks):
            return None
        wanted = [path for path in _paths(export) if path in left]
        if wanted:
            proposed.num_placed += _correct(export, {path: left.pop(path) for path in dict.fromkeys(wanted)})
            copy = folder / export.file.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_json(copy, export.content)
            proposed.files.append(copy)
    return proposed


def _paths(export: Export) -> list[Path]:
    return [path.resolve() for path in (*(path for _, path in export.tasks), *export.images.values())]


def _correct(export: Export, corrections: dict[Path, Sequence[Correction]]) -> int:
    """Correct the content of an export, in place; return how many of the corrections were made."""
    if export.images:
        wanted = {
            image_id: corrections.pop(path.resolve())
            for image_id, path in export.images.items()
            if path.resolve() in corrections
        }
        return coco.correct(cast(CocoDict, export.content), wanted)
    template = _template(task for task, _ in export.tasks)
    made = 0
    for task, path in export.tasks:
        changes = corrections.pop(path.resolve(), None)
        if changes is not None and task.listed is not None:
            made += correct_results(task.listed, changes, template)
    return made


def _template(tasks: Iterable[Task]) -> Result | None:
    """Return a labelled result of the export that a new one can be like, preferably a polygon; None without any."""
    results = [result for task in tasks for result in task.results if isinstance(result, dict)]
    for kind in WRITTEN:
        for result in results:
            value = result.get("value")
            if isinstance(value, dict) and kind_of(value) == kind and str(result.get("type")).endswith("labels"):
                return result
    return None


def correct_results(listed: list[object], corrections: Sequence[Correction], template: Result | None) -> int:
    """Correct the results of an annotation, in place.

    Args:
        listed: its list of results.
        corrections: of its image.
        template: a result that a new one is like; None: new labels are not written.

    Returns:
        How many of the corrections were made; the labels of the others were not found.
    """
    some = next(label for one in corrections for label in (one.before, one.after) if label is not None)
    height, width = some.rle["size"]
    regions = [_Labelled.of(results, (height, width)) for results in _by_id(listed)]
    places = match_labels(corrections, [region.label for region in regions])
    made = 0
    for correction, place in zip(corrections, places, strict=True):
        if place is not None:
            made += regions[place].correct(correction, listed)
        elif correction.before is None and correction.after is not None and template is not None:
            listed.append(_new(template, correction.after))
            made += 1
    return made


def _by_id(listed: Sequence[object]) -> list[list[Result]]:
    """Return the results of each region, which share an id."""
    regions: dict[object, list[Result]] = {}
    for result in listed:
        if isinstance(result, dict) and result.get("type") != "relation":
            key = result.get("id")
            regions.setdefault(key if isinstance(key, str | int) else object(), []).append(result)
    return [*regions.values()]


@dataclass(frozen=True, slots=True)
class _Labelled:
    """The results of a region, and the label that they are; None for what is no label."""

    results: list[Result]
    label: Label | None

    @classmethod
    def of(cls, results: list[Result], image_size: ImageSize) -> _Labelled:
        builder = LabelsBuilder()
        for region in read_regions(results):
            add_region(builder, 1, region, image_size, "", Findings())
        rle = mask_of(builder.annotations[0], image_size) if builder.annotations else None
        return cls(results, None if rle is None else Label(builder.names[0], rle))

    def correct(self, correction: Correction, listed: list[object]) -> bool:
        """Make a correction; false where the kind of its shape is not drawn anew."""
        before, after = correction.before, correction.after
        if after is None:
            listed[:] = [result for result in listed if not any(result is own for own in self.results)]
            return True
        values = [value for result in self.results if isinstance(value := result.get("value"), dict)]
        if correction.is_redrawn and not all(_redraw(value, after) for value in values if kind_of(value)):
            return False
        if before is None or before.category != after.category:
            for value in values:
                value.update({key: [after.category] for key in value if key.endswith("labels")})
        return True


def _redraw(value: Value, after: Label) -> bool:
    """Give the value of a result another shape of its kind, an ellipse that of a polygon's."""
    write = WRITTEN.get(kind_of(value) or "")
    if write is None:
        return False
    for key in GEOMETRY:
        value.pop(key, None)
    value.update(write(after.rle))
    return True


def _new(template: Result, label: Label) -> Result:
    """Return a result like another one, with a shape and a label of its own."""
    height, width = label.rle["size"]
    value, kind = cast(Value, template["value"]), str(template["type"])
    drawn = WRITTEN[kind_of(value) or ""](label.rle)
    own = {"original_width": width, "original_height": height, "image_rotation": 0}
    names: Result = {key: template[key] for key in ("from_name", "to_name") if key in template}
    return {"id": uuid.uuid4().hex[:10], "type": kind, **names, **own, "value": {**drawn, kind: [label.category]}}
