"""Pictures of instances: pure functions from arrays to arrays.

Pictures smaller than MIN_SIDE_PX are enlarged first, and lines and letters grow with the picture, so that all of it can
be read. Masks are blended inside their own box, so the cost follows the drawn area.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from instseg.core.categories import Categories, category_colour
from instseg.core.errors import InstsegError
from instseg.core.masks import rle_to_bitmask, rle_to_box
from instseg.core.types import GroundTruth, Image, ImageSize, Prediction, Rle, Target
from instseg.visualization.text import Area, Colour, draw_label

MIN_SIDE_PX = 640
"""The longer side of a drawn picture has at least this, up to 1.4 times as much where many names need room."""
LETTER_FRACTION = 0.025
"""Letter size, as a fraction of the square root of the picture's area; down to 0.7 of it for many names."""
MASK_OPACITY = 0.45
CROWD_COLOUR: Colour = (150, 150, 150)


@dataclass(slots=True)
class Shape:
    """Instance that is ready to be drawn, in pixels of the picture."""

    box: NDArray[np.float64]  # (4,) xyxy
    mask: NDArray[np.uint8]  # (h, w) 0 or 1, only its own part of the picture
    corner: tuple[int, int]  # x, y of mask[0, 0]
    colour: Colour
    text: str
    is_crowd: bool = False


def draw_prediction(
    image: Image, prediction: Prediction, categories: Categories, score_threshold: float = 0.5
) -> Image:
    """Draw predicted instances over their image.

    Args:
        image: (H, W, 3) uint8 RGB in the original frame, not changed.
        prediction: of this image, in the same frame.
        categories: names of the labels.
        score_threshold: instances with a lower score are not drawn.

    Returns:
        As ``draw_instances``.
    """
    kept = prediction.select(prediction.scores >= score_threshold)
    return draw_instances(image, kept.boxes, kept.labels, kept.rles, categories, kept.scores)


def draw_ground_truth(image: Image, truth: GroundTruth, categories: Categories) -> Image:
    """Draw annotated instances over their image, crowds hatched in gray.

    Args:
        image: (H, W, 3) uint8 RGB in the original frame, not changed.
        truth: of this image, in the same frame.
        categories: names of the labels.

    Returns:
        As ``draw_instances``.
    """
    return draw_instances(image, truth.boxes, truth.labels, truth.rles, categories, iscrowd=truth.iscrowd)


def draw_instances(
    image: Image,
    boxes: NDArray[np.floating],
    labels: NDArray[np.int64],
    rles: Sequence[Rle],
    categories: Categories,
    scores: NDArray[np.floating] | None = None,
    iscrowd: NDArray[np.bool_] | None = None,
) -> Image:
    """Draw masks, boxes, names and scores over an image.

    Args:
        image: (H, W, 3) uint8 RGB, not changed.
        boxes: (N, 4) xyxy in pixels of the image.
        labels: (N,) 1..num_categories.
        rles: N masks of the image's size.
        categories: names of the labels.
        scores: (N,) 0..1; None writes names alone.
        iscrowd: (N,) regions to hatch in gray, without a box.

    Returns:
        A new picture, of the image's size or, where that is below MIN_SIDE_PX, enlarged to it.

    Raises:
        InstsegError: a mask has another size than the image.
    """
    size = image.shape[:2]
    for rle in rles:
        if tuple(rle["size"]) != size:
            raise InstsegError(f"mask of size {tuple(rle['size'])} on an image of size {size} (height, width)")
    canvas, scale = _canvas(image, len(labels))
    crowd = np.zeros(len(labels), bool) if iscrowd is None else iscrowd
    texts = _texts(labels, categories, scores, crowd)

    def shape(i: int) -> Shape:
        mask, corner = _cut_mask(rles[i], scale)
        colour = CROWD_COLOUR if crowd[i] else category_colour(int(labels[i]))
        return Shape(np.asarray(boxes[i], np.float64) * scale, mask, corner, colour, texts[i], bool(crowd[i]))

    _draw(canvas, (shape(i) for i in _large_first(boxes)), len(labels))
    return canvas


def draw_target(image: Image | Tensor, target: Target, categories: Categories) -> Image:
    """Draw a training target as the model sees it: every box mask stretched back into its box.

    Args:
        image: (H, W, 3) uint8 array or (3, H, W) uint8 tensor, in the network frame, with or without padding.
        target: of this image, in the same frame.
        categories: names of the labels.

    Returns:
        As ``draw_instances``.
    """
    pixels = image if isinstance(image, np.ndarray) else np.ascontiguousarray(image.cpu().permute(1, 2, 0).numpy())
    canvas, scale = _canvas(pixels, len(target))
    boxes = target.boxes.cpu().numpy().astype(np.float64) * scale
    labels, box_masks = target.labels.cpu().numpy(), target.box_masks.cpu().numpy()
    texts = _texts(labels, categories, None, np.zeros(len(labels), bool))

    def shape(i: int) -> Shape:
        mask, corner = _stretch_mask(box_masks[i], boxes[i], canvas.shape[:2])
        return Shape(boxes[i], mask, corner, category_colour(int(labels[i])), texts[i])

    _draw(canvas, (shape(i) for i in _large_first(boxes)), len(labels))
    return canvas


def _canvas(image: Image, num_instances: int) -> tuple[Image, float]:
    """Return a copy to draw on and its size relative to the image."""
    scale = max(1.0, MIN_SIDE_PX / _crowding(num_instances) / max(image.shape[:2]))
    if scale == 1.0:
        return image.copy(), 1.0
    width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False), scale


def _crowding(num_instances: int) -> float:
    """Return the factor by which names shrink to leave the picture visible: 1 up to ten instances, falling to 0.7."""
    return min(1.0, max(0.7, math.sqrt(10 / max(num_instances, 1))))


def _letter_px(size: ImageSize, num_instances: int) -> int:
    """Choose a letter size that follows the picture, yet leaves a narrow strip room for more than a letter."""
    height, width = size
    letter = LETTER_FRACTION * _crowding(num_instances) * math.sqrt(height * width)
    return max(11, round(min(letter, min(height, width) / 7)))


def _texts(
    labels: NDArray[np.int64], categories: Categories, scores: NDArray[np.floating] | None, crowd: NDArray[np.bool_]
) -> list[str]:
    names = [categories.name(int(label)) + (" (crowd)" if c else "") for label, c in zip(labels, crowd, strict=True)]
    if scores is None:
        return names
    return [f"{name} {score:.2f}" for name, score in zip(names, scores, strict=True)]


def _large_first(boxes: NDArray[np.floating]) -> list[int]:
    """Order instances so that small ones are drawn on top of large ones."""
    boxes = np.asarray(boxes).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return [int(i) for i in np.argsort(-areas, kind="stable")]


def _cut_mask(rle: Rle, scale: float) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Cut a mask to its box and scale it; returns it and its corner (x, y)."""
    x1, y1, x2, y2 = (int(v) for v in rle_to_box(rle))
    mask = np.ascontiguousarray(rle_to_bitmask(rle)[y1:y2, x1:x2])
    if scale == 1.0 or mask.size == 0:
        return mask, (x1, y1)
    left, top = round(x1 * scale), round(y1 * scale)
    size = max(1, round(x2 * scale) - left), max(1, round(y2 * scale) - top)
    return cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False), (left, top)


def _stretch_mask(
    box_mask: NDArray[np.uint8], box: NDArray[np.float64], size: ImageSize
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Stretch a box mask to pixels of the picture, cut at its edges; returns it and its corner (x, y)."""
    x1, y1, x2, y2 = (round(v) for v in box)
    stretched = cv2.resize(box_mask * np.uint8(255), (max(1, x2 - x1), max(1, y2 - y1)), interpolation=cv2.INTER_LINEAR)
    left, top = max(x1, 0), max(y1, 0)
    crop = stretched[top - y1 : max(size[0] - y1, 0), left - x1 : max(size[1] - x1, 0)]
    return (crop >= 128).astype(np.uint8), (left, top)


def _draw(canvas: Image, shapes: Iterable[Shape], num_instances: int) -> None:
    """Draw masks first, one at a time, then boxes, then labels, so that no mask covers a name."""
    letter_px = _letter_px(canvas.shape[:2], num_instances)
    line = max(1, round(letter_px / 12))
    drawn = []
    for shape in shapes:
        _blend_mask(canvas, shape, line)
        shape.mask = shape.mask[:0]  # it is drawn now: never hold N of them
        drawn.append(shape)
    for shape in drawn:
        if not shape.is_crowd:
            _draw_box(canvas, shape, line)
    taken: list[Area] = []
    for shape in drawn:
        draw_label(canvas, shape.box, shape.text, shape.colour, letter_px, taken)


def _blend_mask(canvas: Image, shape: Shape, line: int) -> None:
    (left, top), (height, width) = shape.corner, shape.mask.shape
    if shape.mask.size == 0:
        return
    region = canvas[top : top + height, left : left + width]
    mask = shape.mask
    if shape.is_crowd:  # stripes let the image through, and nobody takes them for an instance
        period = 6 * line
        mask = mask * ((np.add.outer(np.arange(height), np.arange(width)) % period) < period // 2)
    tint = np.array(shape.colour, np.float32) * MASK_OPACITY
    blended = cv2.add(
        cv2.convertScaleAbs(region, alpha=1 - MASK_OPACITY), np.broadcast_to(tint.astype(np.uint8), region.shape)
    )
    cv2.copyTo(blended, mask.astype(np.uint8, copy=False), region)
    _draw_contour(canvas, shape, line)


def _draw_contour(canvas: Image, shape: Shape, line: int) -> None:
    """Draw a mask's contour, with a dark rim that keeps it crisp on a background of its colour."""
    contours, _ = cv2.findContours(shape.mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    red, green, blue = shape.colour
    dark: Colour = (red // 3, green // 3, blue // 3)
    for colour, thickness in ((dark, line + 1), (shape.colour, line)):
        cv2.drawContours(canvas, contours, -1, colour, thickness, cv2.LINE_AA, offset=shape.corner)


def _draw_box(canvas: Image, shape: Shape, line: int) -> None:
    """Draw a box just inside its pixels, so that one that fills the picture is seen whole."""
    height, width = canvas.shape[:2]
    inset = line // 2
    x1, y1, x2, y2 = (round(v) for v in shape.box)
    x1, y1 = max(x1, 0) + inset, max(y1, 0) + inset
    x2, y2 = max(min(x2, width) - 1 - inset, x1), max(min(y2, height) - 1 - inset, y1)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), shape.colour, line)
