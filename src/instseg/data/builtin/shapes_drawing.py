"""Drawing of textured shapes: placement, visible pixels and painting.

Colours and textures do not depend on the category: only the shape's contour does.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from instseg.core import masks
from instseg.core.categories import Categories
from instseg.core.types import Image, ImageSize, Polygon

CATEGORIES = Categories(("disc", "triangle", "ring"))

MIN_EXTENT_PX = 16.0  # diameter of the circle around an instance
TYPICAL_EXTENT, MAX_EXTENT = 0.45, 0.85  # the same, as a fraction of the shorter image side
MIN_VISIBLE_FRACTION, MIN_VISIBLE_PX = 0.4, 16  # a shape with less visible could not be recognised: it is not drawn
MAX_INSIDE_FRACTION = 0.35  # distance of the centre from the border, as a fraction of the extent: cuts stay small
PLACEMENT_ATTEMPTS = 30
SUPERSAMPLING = 4
SHADOW_REACH_PX = 9  # the shift plus three standard deviations of the blur
CLEAR_DIFFERENCE = 40.0  # CIE76
NUM_CANDIDATES = 24  # colours among which a distinct one is chosen
GRAIN = 0.012

Floats32 = NDArray[np.float32]


# ---- geometry


@dataclass(slots=True)
class Shape:
    """One placed instance; ``parts`` is its polygon and, for a ring, the polygon of its hole, clipped to the image."""

    label: int
    parts: list[Polygon]
    full_area: float  # px², ignoring border and occlusion
    mask: NDArray[np.bool_]  # (H, W), ignoring occlusion
    visible: NDArray[np.bool_]  # (H, W), not covered by later shapes

    def stays_recognisable(self, visible: NDArray[np.bool_]) -> bool:
        """Tell whether the visible pixels (H, W) are enough to recognise the shape."""
        return int(visible.sum()) >= max(MIN_VISIBLE_PX, MIN_VISIBLE_FRACTION * self.full_area)


def _corners(angles: NDArray[np.float64], radii: NDArray[np.float64] | float = 1.0) -> Polygon:
    return np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1)


def _unit_parts(rng: Generator, category: str) -> list[Polygon]:
    """Return the polygon, and that of the hole if there is one, inside the unit circle."""
    if category == "triangle":
        return [_corners(np.arange(3) * np.pi * 2 / 3 + rng.uniform(-0.2, 0.2, 3))]
    circle = _corners(np.arange(48) * np.pi / 24)
    return [circle, circle * rng.uniform(0.45, 0.62)] if category == "ring" else [circle]


def _tilt(rng: Generator) -> NDArray[np.float64]:
    """Return a random rotation (2, 2), seen at a slight angle."""
    turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in rng.uniform(0, 2 * np.pi, 2)]
    tilt: NDArray[np.float64] = turns[0] @ np.diag([1.0, rng.uniform(0.82, 1.0)]) @ turns[1]
    return tilt


def _place(rng: Generator, label: int, extent: float, image_size: ImageSize) -> Shape:
    size_xy = np.array(image_size[::-1])
    centre = rng.uniform(MAX_INSIDE_FRACTION * extent, size_xy - MAX_INSIDE_FRACTION * extent)
    tilt = _tilt(rng) * extent / 2
    # Two decimals are what the json holds: rounding first makes the image, the mask and the file agree.
    whole = [np.round(part @ tilt.T + centre, 2) for part in _unit_parts(rng, CATEGORIES.name(label))]
    parts = [masks.clip_polygon(part, image_size).round(2) for part in whole]
    full_area = masks.polygon_area(whole[0]) - sum(masks.polygon_area(hole) for hole in whole[1:])
    mask = rasterise(parts, image_size)
    return Shape(label, parts, full_area, mask, mask)


def rasterise(parts: list[Polygon], image_size: ImageSize) -> NDArray[np.bool_]:
    """Draw a polygon without its holes as a mask (H, W).

    Args:
        parts: polygons (P, 2) in px; those after the first are holes.
        image_size: (height, width).
    """
    layers = [masks.rle_to_bitmask(masks.polygons_to_rle([part], image_size)) > 0 for part in parts if len(part)]
    return layers[0] & ~np.any(layers[1:], axis=0) if len(layers) > 1 else layers[0]


def compose(rng: Generator, image_size: ImageSize, num_instances: int) -> list[Shape]:
    """Place shapes from back to front so that each stays recognisable behind those in front of it.

    A shape that does not fit is tried elsewhere, ever smaller, and dropped in the end.

    Args:
        rng: the random stream of the image.
        image_size: (height, width).
        num_instances: to try.
    """
    side = min(image_size)
    extents = rng.triangular(MIN_EXTENT_PX, TYPICAL_EXTENT * side, MAX_EXTENT * side, num_instances)
    # Larger shapes tend to be behind; without the random factor no smaller one would ever be occluded.
    order = np.argsort(-extents * rng.uniform(0.5, 1.5, num_instances))
    placed: list[Shape] = []
    for extent in extents[order]:
        label = int(rng.integers(1, len(CATEGORIES) + 1))
        for attempt in range(PLACEMENT_ATTEMPTS):
            shape = _place(rng, label, max(MIN_EXTENT_PX, extent * 0.95**attempt), image_size)
            remains = [behind.visible & ~shape.mask for behind in placed]
            if all(s.stays_recognisable(v) for s, v in zip([*placed, shape], [*remains, shape.mask], strict=True)):
                for behind, visible in zip(placed, remains, strict=True):
                    behind.visible = visible
                placed.append(shape)
                break
    return placed


# ---- images


def _two_tones(rng: Generator, taken: Floats32, saturation: tuple[float, float], contrast: float) -> Floats32:
    """Choose two similar colours (2, 3), RGB 0..1, both distinct from those ``taken`` (K, 3).

    Distinct: CIE76 of CLEAR_DIFFERENCE, or else the largest among the candidates.
    """
    hls = rng.uniform((0, 0.25, saturation[0]), (360, 0.8, saturation[1]), (NUM_CANDIDATES, 3)).astype(np.float32)
    colours = cv2.cvtColor(hls[None], cv2.COLOR_HLS2RGB)[0]
    step = rng.uniform(-0.35, 0.35, (NUM_CANDIDATES, 1)) + rng.uniform(-0.15, 0.15, (NUM_CANDIDATES, 3))
    pairs = np.clip(np.stack([colours, colours + contrast * step], axis=1), 0, 1).astype(np.float32)
    lab = cv2.cvtColor(np.concatenate([pairs.reshape(-1, 3), taken])[None], cv2.COLOR_RGB2LAB)[0]
    tones_lab, taken_lab = np.split(lab, [2 * NUM_CANDIDATES])
    between = np.linalg.norm(tones_lab[:, None] - taken_lab, axis=2).reshape(NUM_CANDIDATES, -1)
    distance = between.min(axis=1, initial=np.inf)
    clear = distance >= CLEAR_DIFFERENCE
    return np.asarray(pairs[np.argmax(clear) if clear.any() else np.argmax(distance)])


def _pattern(rng: Generator, image_size: ImageSize) -> Floats32:
    """Draw a gradient, stripes, checks or clouds (H, W), 0..1."""
    height, width = image_size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(8, 28)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kind = rng.integers(4)
    if kind == 0:
        pattern = (along - along.min()) / np.ptp(along)
    elif kind == 1:
        pattern = np.clip(0.5 + 2 * np.sin(along * 2 * np.pi / period), 0, 1)
    elif kind == 2:
        pattern = np.clip(0.5 + 4 * np.sin(along * 2 * np.pi / period) * np.sin(across * 2 * np.pi / period), 0, 1)
    else:
        pattern = np.clip(_clouds(rng, image_size, cell_px=int(period)) + 0.5, 0, 1)
    return np.asarray(pattern, dtype=np.float32)


def _clouds(rng: Generator, image_size: ImageSize, cell_px: int) -> Floats32:
    """Draw smooth noise (H, W), mostly -0.5..0.5."""
    grid = rng.uniform(-0.6, 0.6, (image_size[0] // cell_px + 2, image_size[1] // cell_px + 2)).astype(np.float32)
    return np.asarray(cv2.resize(grid, image_size[::-1], interpolation=cv2.INTER_CUBIC))


def _texture(rng: Generator, tones: Floats32, image_size: ImageSize) -> Floats32:
    """Draw a pattern of the two tones under uneven light with a fine grain (H, W, 3), about 0..1."""
    weight = _pattern(rng, image_size)[..., None]
    light = 0.12 * _clouds(rng, image_size, cell_px=40) + rng.normal(0, GRAIN, image_size).astype(np.float32)
    return np.asarray(tones[0] + (tones[1] - tones[0]) * weight + light[..., None], dtype=np.float32)


def coverage(parts: list[Polygon], image_size: ImageSize) -> Floats32:
    """Return the covered fraction of each pixel (H, W), from a drawing at SUPERSAMPLING times the size.

    Args:
        parts: polygons (P, 2) in px; those after the first are holes.
        image_size: (height, width).
    """
    fine_size = (image_size[0] * SUPERSAMPLING, image_size[1] * SUPERSAMPLING)
    fine = rasterise([part * SUPERSAMPLING for part in parts], fine_size).astype(np.uint8) * 255
    covered = cv2.resize(fine, image_size[::-1], interpolation=cv2.INTER_AREA) / 255
    return np.asarray(covered, dtype=np.float32)


def _paint(rng: Generator, canvas: Floats32, shape: Shape, tones: Floats32) -> None:
    """Paint one shape with a slightly soft edge, and its shadow, changing only their surroundings."""
    box = masks.polygons_to_box(shape.parts)
    x1, y1 = np.maximum(box[:2].astype(int) - SHADOW_REACH_PX, 0)
    crop = canvas[y1 : int(box[3]) + SHADOW_REACH_PX + 1, x1 : int(box[2]) + SHADOW_REACH_PX + 1]
    crop_size = (crop.shape[0], crop.shape[1])
    alpha = cv2.GaussianBlur(coverage([part - (x1, y1) for part in shape.parts], crop_size), (3, 3), 0.4)
    shift = np.array([[1, 0, 1.5], [0, 1, 2.5]], dtype=np.float32)
    shadow = cv2.warpAffine(cv2.GaussianBlur(alpha, (0, 0), 2.0), shift, crop_size[::-1])
    alpha, shadow = alpha[..., None], shadow[..., None]
    crop[:] = crop * (1 - 0.4 * shadow) * (1 - alpha) + _texture(rng, tones, crop_size) * alpha


def render(rng: Generator, image_size: ImageSize, shapes: list[Shape]) -> Image:
    """Paint the shapes, back to front, over a muted background, each with a soft shadow.

    Args:
        rng: the random stream of the image.
        image_size: (height, width).
        shapes: from ``compose``.
    """
    taken = _two_tones(rng, np.zeros((0, 3), np.float32), saturation=(0.05, 0.4), contrast=0.5)
    canvas = _texture(rng, taken, image_size)
    for shape in shapes:
        tones = _two_tones(rng, taken, saturation=(0.45, 0.95), contrast=0.25)
        taken = np.concatenate([taken, tones])
        _paint(rng, canvas, shape, tones)
    return np.asarray(np.clip(canvas * 255 + 0.5, 0, 255), dtype=np.uint8)
