"""The instances of one image on their way to being targets: moved as vectors and label maps, drawn at the end.

Frames: polygons are in continuous pixels (0 is the outer edge of the first pixel), albumentations' keypoints in
pixel centres (a flip maps x to W - 1 - x), hence the half pixel added and taken away around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.data.label_maps import LabelMaps, pack_label_maps
from instseg.errors import InstsegError
from instseg.masks import (
    bitmask_to_box_mask,
    clip_polygon,
    polygon_area,
    polygons_to_box,
    polygons_to_box_mask,
    rle_area,
)
from instseg.types import BOX_MASK_SIZE, Image, ImageSize, Instances, Polygon

MIN_BOX_SIDE_PX = 1.0

Drawn = tuple[NDArray[np.float64], NDArray[np.uint8]]
"""Box (4,) xyxy and box mask (M, M) of one instance."""


class MovingInstances:
    """All vertices in one array, bitmaps in label maps; ``resize`` and ``transform`` move them with the image."""

    def __init__(self, instances: Instances, image_size: ImageSize) -> None:
        self.labels = instances.labels
        self.part_counts = [len(parts) for parts in instances.polygons]
        parts = [part for instance in instances.polygons for part in instance]
        self.splits = np.cumsum([len(part) for part in parts])[:-1]
        self.points: Polygon = np.concatenate(parts) if parts else np.zeros((0, 2))
        bitmaps = [rle for rle in instances.rles if rle is not None]
        self.maps: LabelMaps = pack_label_maps(bitmaps, image_size)
        self.image_size = image_size
        self.frame = _frame_of(image_size)  # (4, 2) corners of the image, moved along; they measure the change of area
        self.bitmap_areas = [rle_area(rle) for rle in bitmaps]

    def resize(self, size: ImageSize) -> None:
        """Follow a resize of the image."""
        scale = (size[1] / self.image_size[1], size[0] / self.image_size[0])
        self.points, self.frame = self.points * scale, self.frame * scale
        self.bitmap_areas = [area * scale[0] * scale[1] for area in self.bitmap_areas]
        if size != self.image_size:
            maps = [cv2.resize(m, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT) for m in self.maps.maps]
            self.maps.maps = [m.astype(np.uint8, copy=False) for m in maps]
        self.image_size = size

    def transform(self, pipeline: Callable[..., dict[str, Any]], image: Image) -> Image:
        """Put the image and everything on it through an albumentations pipeline; returns the new image."""
        before = polygon_area(self.frame)
        keypoints = np.concatenate([self.points, self.frame]) - 0.5
        inputs = {"image": image, "keypoints": keypoints.astype(np.float32)}
        if self.maps.maps:  # an empty list of masks is refused
            inputs["masks"] = self.maps.maps
        result = pipeline(**inputs)
        moved = np.asarray(result["keypoints"], dtype=np.float64).reshape(-1, 2) + 0.5
        if len(moved) != len(keypoints):
            raise InstsegError(
                "augmentation.train: a transform removes points of the outlines, as distortions do; it cannot be used "
                "(flips, turns, crops, padding, shifts and affine transforms can)"
            )
        self.points, self.frame = moved[:-4], moved[-4:]
        self.bitmap_areas = [area * polygon_area(self.frame) / before for area in self.bitmap_areas]
        self.maps.maps = [np.asarray(label_map) for label_map in result.get("masks", [])]
        return self._checked(result["image"])

    def _checked(self, image: Image) -> Image:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InstsegError(
                f"augmentation.train: images must stay uint8 (height, width, 3), they become {image.dtype} "
                f"{image.shape}; the model normalises by itself"
            )
        self.image_size = (image.shape[0], image.shape[1])
        return image

    def polygons(self) -> list[list[Polygon]]:
        """The parts of each instance, nothing cut off; none where it is a bitmap."""
        parts = iter(np.split(self.points, self.splits) if len(self.points) else [])
        return [[next(parts) for _ in range(count)] for count in self.part_counts]

    def targets(self, min_visibility: float) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.uint8]]:
        """Boxes (N, 4), labels (N,) and box masks (N, M, M) of what is visible of each by this share at least."""
        kept: list[int] = []
        drawn: list[Drawn] = []
        bitmaps = (self._draw_bitmap(i, min_visibility) for i in range(len(self.maps.places)))
        for position, parts in enumerate(self.polygons()):
            found = self._draw_polygons(parts, min_visibility) if parts else next(bitmaps)
            if found is not None:
                kept.append(position)
                drawn.append(found)
        return (
            np.array([box for box, _ in drawn], dtype=np.float32).reshape(-1, 4),
            self.labels[kept],
            np.array([mask for _, mask in drawn], dtype=np.uint8).reshape(-1, BOX_MASK_SIZE, BOX_MASK_SIZE),
        )

    def _draw_polygons(self, parts: list[Polygon], min_visibility: float) -> Drawn | None:
        visible = [clip_polygon(part, self.image_size) for part in parts]
        if any(clipped is not part for clipped, part in zip(visible, parts, strict=True)):
            visible = [part for part in visible if len(part)]
            if sum(map(polygon_area, visible)) < min_visibility * sum(map(polygon_area, parts)):
                return None
        if not visible:
            return None
        box = polygons_to_box(visible)
        if (box[2:] - box[:2] < MIN_BOX_SIDE_PX).any():
            return None
        return box, polygons_to_box_mask(visible, box, BOX_MASK_SIZE)

    def _draw_bitmap(self, i: int, min_visibility: float) -> Drawn | None:
        box, bitmask = self.maps.box_and_bitmask(i)
        if bitmask.size == 0 or np.count_nonzero(bitmask) < min_visibility * self.bitmap_areas[i]:
            return None
        whole = np.array([0, 0, bitmask.shape[1], bitmask.shape[0]], dtype=np.float64)
        return box, bitmask_to_box_mask(bitmask, whole, BOX_MASK_SIZE)


def _frame_of(image_size: ImageSize) -> Polygon:
    height, width = image_size
    return np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
