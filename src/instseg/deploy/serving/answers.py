"""The answers of the server: JSON, and pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image as PilImage
from pydantic import BaseModel, Field

from instseg.core.categories import Categories
from instseg.core.types import Polygon, Rle
from instseg.prediction.writers.mask_pictures import numbered_mask
from instseg.prediction.writers.predicted_image import LoadedImage

SCORE_DECIMALS, PX_DECIMALS = 6, 2  # as in the files of predictions
MaskForm = Literal["rle", "polygons", "none"]


class RunLengths(BaseModel):
    """A mask as COCO's compressed run lengths, for ``pycocotools.mask.decode``."""

    size: list[int] = Field(description="height, width")
    counts: str


class Instance(BaseModel):
    """An instance."""

    category: str
    label: int = Field(description="number of the category, from 1")
    score: float
    box: list[float] = Field(description="x1, y1, x2, y2 in pixels, with exclusive ends")
    mask: RunLengths | None = Field(None, description="with masks=rle")
    polygons: list[list[list[float]]] | None = Field(
        None, description="with masks=polygons: parts, largest first, of points x, y in pixels; seams join holes"
    )


class Answer(BaseModel):
    """The instances of an image, best score first."""

    width: int = Field(description="of the image, upright, in pixels")
    height: int
    model: str = Field(description="which model it was")
    score_threshold: float | dict[str, float] = Field(description="one for all categories, or one for each")
    instances: list[Instance]


class Refusal(BaseModel):
    """The answer to a request that is refused."""

    detail: str = Field(description="one sentence that says why")


@dataclass(frozen=True, slots=True)
class Shown:
    """An image with what is kept of what was found on it, and all that an answer says besides."""

    image: LoadedImage
    categories: Categories
    version: str
    """Of the model."""
    score_threshold: float | dict[str, float]
    colour_by: Literal["instance", "category"]


def as_json(shown: Shown, masks: MaskForm) -> bytes:
    """Return an answer as JSON.

    Args:
        shown: what was found.
        masks: their form.
    """
    height, width = shown.image.prediction.image_size
    answer = Answer(
        width=width,
        height=height,
        model=shown.version,
        score_threshold=shown.score_threshold,
        instances=[_instance(shown, position, masks) for position in range(len(shown.image.prediction))],
    )
    return answer.model_dump_json(exclude_none=True).encode()


def _instance(shown: Shown, position: int, masks: MaskForm) -> Instance:
    found = shown.image.prediction
    label = int(found.labels[position])
    return Instance(
        category=shown.categories.name(label),
        label=label,
        score=round(float(found.scores[position]), SCORE_DECIMALS),
        box=found.boxes[position].astype(float).round(PX_DECIMALS).tolist(),
        mask=_run_lengths(found.rles[position]) if masks == "rle" else None,
        polygons=_points(shown.image.polygons[position]) if masks == "polygons" else None,
    )


def as_instance_map(shown: Shown, masks: MaskForm) -> bytes:
    """Return a PNG whose pixel value k is instance k, the best score being 1; 0 is the background.

    Args:
        shown: what was found.
        masks: of no meaning here.
    """
    return _as_png(numbered_mask(shown.image))


def as_overlay(shown: Shown, masks: MaskForm) -> bytes:
    """Return a PNG of the image with its instances drawn over it.

    Args:
        shown: what was found.
        masks: of no meaning here.
    """
    from instseg.prediction.writers.overlays import overlay  # matplotlib is imported where a picture is asked for

    return _as_png(PilImage.fromarray(overlay(shown.image, shown.categories, shown.colour_by)))


def _as_png(picture: PilImage.Image) -> bytes:
    """Return a picture as a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=3)
    return file.getvalue()


def _run_lengths(rle: Rle) -> RunLengths:
    counts = rle["counts"]
    return RunLengths(size=list(rle["size"]), counts=counts.decode() if isinstance(counts, bytes) else counts)


def _points(parts: Sequence[Polygon]) -> list[list[list[float]]]:
    return [part.round(PX_DECIMALS).tolist() for part in parts]
