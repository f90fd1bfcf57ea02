"""Small pictures of findings: a shape in its surroundings, a whole image, or two that are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from instseg.auditing.report import AuditReport, Spot, Thumbnail
from instseg.auditing.thumbnail_drawing import SIDE_PX, draw
from instseg.core.errors import InstsegError
from instseg.core.files import read_json
from instseg.core.masks import box_to_polygon, polygons_to_box, rle_to_bitmask, segmentation_to_rle
from instseg.core.polygons import pixel_polygons
from instseg.core.records import convert_plain
from instseg.core.text import visible
from instseg.core.types import Image, Polygon
from instseg.data.index.columns import Index
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.images import read_image
from instseg.visualization.jpeg import encode_jpeg
from instseg.visualization.sheets import side_by_side

MAX_THUMBNAILS = 4  # of a finding
MIN_REGION_PX = 40  # smaller shapes are shown with what is around them
MARGIN = 0.4  # of the longer side of the shape
MAX_BEYOND = 0.5  # of the longer side of the image: how much is shown of what lies outside
EDGE_PX = 4


def illustrate(report: AuditReport, prepared: PreparedDataset) -> AuditReport:
    """Add thumbnails of the worst spots to the findings of a report, where there is something to show.

    Args:
        report: without thumbnails.
        prepared: the dataset that it is about.
    """
    painter = Painter(prepared)
    console = Console(stderr=True)
    shown = track(list(report.findings), "Drawing findings", console=console, transient=True)
    painted = (replace(finding, thumbnails=tuple(painter.paint_some(finding.spots))) for finding in shown)
    return replace(report, findings=tuple(painted))


class Drawable(msgspec.Struct, frozen=True):
    """An annotation in the json of a prepared dataset, which may be one that could not be used."""

    id: int
    segmentation: object = None
    bbox: object = None


class _Json(msgspec.Struct, frozen=True):
    annotations: list[Drawable]


class Painter:
    """Painter of the findings about one dataset; images that cannot be read are skipped."""

    def __init__(self, prepared: PreparedDataset) -> None:
        self.prepared = prepared
        self.read = lru_cache(maxsize=4)(read_image)
        self.annotations: dict[str, dict[int, Drawable]] = {}

    def paint_some(self, spots: Sequence[Spot]) -> list[Thumbnail]:
        """Draw some spots, the worst of each image first: an image with a hundred tiny shapes shall not take all."""
        worst: dict[tuple[str, str], Spot] = {}
        for spot in spots:
            worst.setdefault((spot.split, spot.name), spot)
        rest = [spot for spot in spots[: 3 * MAX_THUMBNAILS] if worst[spot.split, spot.name] is not spot]
        painted: list[Thumbnail] = []
        for spot in [*worst.values(), *rest][: 3 * MAX_THUMBNAILS]:
            picture = self.picture(spot) if len(painted) < MAX_THUMBNAILS else None
            if picture is not None:
                caption = ": ".join(filter(None, (visible(spot.name), spot.detail)))
                painted.append(Thumbnail(encode_jpeg(picture), picture.shape[1], caption))
        return painted

    def picture(self, spot: Spot) -> Image | None:
        """Draw a spot as (H, W, 3) whose longer side is SIDE_PX; None where its image cannot be read."""
        try:
            if spot.other is not None:
                pair = self._whole(spot), self._whole(spot.other)
                return side_by_side(*pair, captions=(spot.split, spot.other.split), height_px=SIDE_PX * 2 // 3)
            return self._whole(spot) if spot.annotation_id is None and spot.instance is None else self._shape(spot)
        except (InstsegError, OSError):  # a name that no file system takes
            return None

    def _image(self, spot: Spot) -> Image:
        if spot.image is not None:
            index = self.prepared.indices[spot.split]
            return self.read(index.path(spot.image), index.rotate(spot.image), index.value_range)
        roots = dict.fromkeys(index.image_root for index in self.prepared.indices.values())
        return self.read(next((path for root in roots if (path := root / spot.name).is_file()), Path(spot.name)))

    def _whole(self, spot: Spot) -> Image:
        image = self._image(spot)
        height, width = image.shape[:2]
        polygons = []
        if spot.image is not None:
            index = self.prepared.indices[spot.split]
            polygons = [p for row in rows_of(index, spot.image) for p in polygons_of(index, row, spot.image)]
        return draw(image, np.array([0.0, 0.0, width, height]), [], polygons)

    def _shape(self, spot: Spot) -> Image:
        image = self._image(spot)
        marked: list[Polygon] = []
        others: list[Polygon] = []
        if spot.instance is not None and spot.image is not None:
            index = self.prepared.indices[spot.split]
            for row in rows_of(index, spot.image):
                (marked if row == spot.instance else others).extend(polygons_of(index, row, spot.image))
        else:
            marked = self._polygons_in_json(spot, (image.shape[0], image.shape[1]))
        return draw(image, _region(marked, (image.shape[0], image.shape[1])), marked, others)

    def _polygons_in_json(self, spot: Spot, image_size: tuple[int, int]) -> list[Polygon]:
        """Read a shape that could not be used from the labels, as far as it can be drawn."""
        if spot.split not in self.annotations:
            path = self.prepared.folder / f"{spot.split}.json"
            self.annotations[spot.split] = _read_drawables(path) if path.is_file() else {}
        annotation = self.annotations[spot.split].get(spot.annotation_id or 0, Drawable(0))
        return _polygons_of_annotation(annotation, image_size)


def _read_drawables(path: Path) -> dict[int, Drawable]:
    remedy = "the dataset is prepared again where its folder is deleted"
    return {one.id: one for one in convert_plain(read_json(path), _Json, str(path), remedy).annotations}


def _polygons_of_annotation(annotation: Drawable, image_size: tuple[int, int]) -> list[Polygon]:
    try:
        if isinstance(annotation.segmentation, dict):
            return pixel_polygons(rle_to_bitmask(segmentation_to_rle(annotation.segmentation, image_size)))
        listed = annotation.segmentation if isinstance(annotation.segmentation, list) else []
        parts = [np.asarray(part, dtype=np.float64).reshape(-1, 2) for part in listed if len(part) >= 2]
        if not parts and isinstance(annotation.bbox, list):
            x, y, width, height = annotation.bbox
            parts = [box_to_polygon(np.array([x, y, x + width, y + height], dtype=np.float64))]
    except (TypeError, ValueError) as error:
        raise InstsegError(f"cannot be drawn: {error}") from error
    if not parts or not all(np.isfinite(part).all() for part in parts):
        raise InstsegError("there is nothing to be drawn")
    return parts


def rows_of(index: Index, image: int) -> range:
    """Return the rows of the columns that hold the instances of an image.

    Args:
        index: of the split.
        image: position of the image in the index.
    """
    start, end = index.column("instance_offsets")[index.rows[image] : index.rows[image] + 2]
    return range(int(start), int(end))


def polygons_of(index: Index, row: int, image: int) -> list[Polygon]:
    """Return the parts of an instance as polygons, a bitmap as those around its pixels.

    Args:
        index: of the split.
        row: of the instance in the columns.
        image: position of its image in the index.
    """
    return index.polygons(row) or pixel_polygons(rle_to_bitmask(index.rle(row, image)))


def _region(polygons: Sequence[Polygon], image_size: tuple[int, int]) -> NDArray[np.float64]:
    """Return (4,) xyxy around the polygons with a margin; it reaches beyond the image where they do, but not far."""
    if not polygons:
        raise InstsegError("there is nothing to be drawn")
    border = np.array([0, 0, image_size[1], image_size[0]], dtype=np.float64)
    room = MAX_BEYOND * max(image_size)
    box = np.clip(polygons_to_box(polygons), np.tile(border[:2] - room, 2), np.tile(border[2:] + room, 2))
    if (box[:2] >= border[2:]).any() or (box[2:] <= border[:2]).any():  # all of it lies outside the image: show both
        return np.concatenate([np.minimum(box[:2], 0), np.maximum(box[2:], border[2:])])
    sides = box[2:] - box[:2]
    grown = np.maximum(sides + 2 * MARGIN * sides.max(), max(MIN_REGION_PX, 0.6 * sides.max()))
    centre = (box[:2] + box[2:]) / 2
    low = np.maximum(centre - grown / 2, np.minimum(0, box[:2] - EDGE_PX))
    return np.concatenate([low, np.minimum(centre + grown / 2, np.maximum(border[2:], box[2:] + EDGE_PX))])
