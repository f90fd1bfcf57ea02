"""Regions of Label Studio: the shapes of a task's result, as polygons and as brush masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from instseg.core.masks import rle_to_bitmask
from instseg.core.polygons import join_polygons
from instseg.core.prediction_mark import LABELSTUDIO_DECIMALS
from instseg.core.types import ImageSize, Polygon, Rle
from instseg.data.formats.labelstudio.brush_rle import encode_brush_rle


class Region(TypedDict):
    """One shape of a task's result, with Label Studio's keys."""

    id: str
    type: str
    from_name: str
    to_name: str
    original_width: int  # px
    original_height: int  # px
    image_rotation: int
    score: float
    value: dict[str, object]


@dataclass(frozen=True, slots=True)
class Control:
    """The two tags of a labelling setup that a region belongs to."""

    from_name: str
    """Of the tag with the labels."""
    to_name: str
    """Of the image."""


def polygon_region(
    control: Control, number: int, polygons: Sequence[Polygon], label: str, score: float, image_size: ImageSize
) -> Region:
    """Return an instance as one polygon, in percent of the image; parts and holes are joined by seams.

    Args:
        control: that the region belongs to.
        number: of the instance.
        polygons: its parts in px, at least one.
        label: its name in the setup.
        score: 0 to 1.
        image_size: (height, width) px.
    """
    height, width = image_size
    points = (join_polygons(polygons) * 100 / (width, height)).round(LABELSTUDIO_DECIMALS).tolist()
    value: dict[str, object] = {"points": points, "closed": True, "polygonlabels": [label]}
    return _region(control, number, "polygonlabels", value, score, image_size)


def brush_region(control: Control, number: int, rle: Rle, label: str, score: float) -> Region:
    """Return an instance as a brush mask.

    Args:
        control: that the region belongs to.
        number: of the instance.
        rle: its mask, of the size of the image.
        label: its name in the setup.
        score: 0 to 1.
    """
    bitmask = rle_to_bitmask(rle)
    value: dict[str, object] = {"format": "rle", "rle": encode_brush_rle(bitmask), "brushlabels": [label]}
    return _region(control, number, "brushlabels", value, score, (bitmask.shape[0], bitmask.shape[1]))


def mean_score(regions: Sequence[Region]) -> float:
    """Return the mean score of the regions of a task, by which Label Studio can sort; 0 for none."""
    return sum(region["score"] for region in regions) / max(len(regions), 1)


def _region(
    control: Control, number: int, kind: str, value: dict[str, object], score: float, image_size: ImageSize
) -> Region:
    height, width = image_size
    return {
        "id": f"instance_{number}",
        "type": kind,
        "from_name": control.from_name,
        "to_name": control.to_name,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": round(score, 6),
        "value": value,
    }
