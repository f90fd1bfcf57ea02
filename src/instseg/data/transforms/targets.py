"""The instances of one image on their way to becoming targets: moved as vectors and label maps, drawn at the end.

Frames: polygons are in continuous pixels (0 is the outer edge of the first pixel), albumentations' keypoints in
pixel centres (a flip maps x to W - 1 - x), hence the half pixel added and taken away around it.

What is put on top of an image hides what lies there: label maps are cleared at once, polygons when they are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from instseg.core.box_masks import bitmask_to_box_mask, polygons_to_box_mask
from instseg.core.errors import InstsegError
from instseg.core.masks import clip_polygon, polygon_area, polygons_to_box, rle_area
from instseg.core.types import BOX_MASK_SIZE, Bitmask, Box, Image, ImageSize, Instances, Polygon
from instseg.data.transforms.cropping import visible_polygons
from instseg.data.transforms.label_maps import draw_label_maps
from instseg.data.transforms.occlusion import Cover, Drawn, draw_behind, draw_unhidden


class Moved(TypedDict):
    """Result of a pipeline of transforms, as albumentations has it."""

    image: Image
    keypoints: object  # (P, 2), in the order in which they were given
    masks: NotRequired[Sequence[NDArray[np.uint8]]]


class MovingInstances:
    """Instances that move with their image: all vertices in one array, bitmaps in label maps."""

    def __init__(self, instances: Instances, image_size: ImageSize, size: ImageSize | None = None) -> None:
        """Take the instances as they lie in the original image.

        Args:
            instances: of one image.
            image_size: (height, width) px of the original image.
            size: to which it has been resized, where it has been.
        """
        size = size or image_size
        scale = np.array(size[::-1]) / image_size[::-1]
        self.labels = instances.labels
        self._set_polygons(instances.polygons)
        if (self.points < 0).any() or (self.points > image_size[::-1]).any():
            # Beyond its border an image shows nothing that could come into view when it is turned.
            self._set_polygons([_clipped(parts, image_size) for parts in instances.polygons])
        bitmaps = [rle for rle in instances.rles if rle is not None]
        self.maps = draw_label_maps(bitmaps, image_size, size)
        places = iter(range(len(bitmaps)))
        self.bitmap_of = [None if rle is None else next(places) for rle in instances.rles]  # index into maps.places
        self.points *= scale
        self.image_size = size
        self.frame = _frame_of(size)  # (4, 2) corners of the image, moved along; they measure the change of area
        self.bitmap_areas = [rle_area(rle) * scale[0] * scale[1] for rle in bitmaps]
        self.num_beneath = len(instances)  # those from here on were put on top

    def _set_polygons(self, polygons: list[list[Polygon]]) -> None:
        parts = [part for instance in polygons for part in instance]
        self.part_counts = [len(instance) for instance in polygons]
        self.part_lengths = [len(part) for part in parts]
        self.points: Polygon = np.concatenate(parts) if parts else np.zeros((0, 2))

    def transform(self, pipeline: Callable[..., Moved], image: Image) -> Image:
        """Put the image and everything on it through a pipeline of transforms.

        Args:
            pipeline: called as an albumentations ``Compose``: takes image, keypoints (P, 2) and, if there are any,
                masks by name, and returns them moved, all points in their order.
            image: (H, W, 3) uint8.

        Returns:
            The new image.

        Raises:
            InstsegError: a transform removes points, or gives an image of another kind.
        """
        before = polygon_area(self.frame)
        keypoints = np.concatenate([self.points, self.frame]) - 0.5
        inputs = {"image": image, "keypoints": keypoints.astype(np.float32)}
        if self.maps.maps:  # an empty list of masks is refused
            inputs["masks"] = self.maps.maps
        result = pipeline(**inputs)
        moved = np.asarray(result["keypoints"], dtype=np.float64).reshape(-1, 2) + 0.5
        if len(moved) != len(keypoints):
            raise InstsegError(
                "augmentation.train: a transform removes points of the polygons, as distortions do; it cannot be used "
                "(flips, turns, crops, padding, shifts and affine transforms can)"
            )
        self.points, self.frame = moved[:-4], moved[-4:]
        growth = polygon_area(self.frame) / before
        self.bitmap_areas = [area * growth for area in self.bitmap_areas]
        self.maps.maps = [np.asarray(label_map) for label_map in result.get("masks", ())]
        return self._checked(result["image"])

    def _checked(self, image: Image) -> Image:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InstsegError(
                f"augmentation.train: images must stay uint8 (height, width, 3), they become {image.dtype} "
                f"{image.shape}; the model normalises by itself"
            )
        self.image_size = (image.shape[0], image.shape[1])
        return image

    def put_on_top(self, label: int, parts: list[Polygon], bitmask: Bitmask, corner: tuple[int, int]) -> None:
        """Add an instance that hides what lies under it.

        Args:
            label: 1..num_categories.
            parts: its polygons, within the image as it is now; empty where it is only known as a bitmap.
            bitmask: (h, w) its pixels.
            corner: (x, y) px of the first of them in the image.
        """
        window = np.s_[corner[1] : corner[1] + bitmask.shape[0], corner[0] : corner[0] + bitmask.shape[1]]
        self.maps.clear(bitmask, window)
        self.labels = np.append(self.labels, label)
        self.part_counts.append(len(parts))
        self.part_lengths += [len(part) for part in parts]
        self.points = np.concatenate([self.points, *parts])
        self.bitmap_of.append(None if parts else len(self.maps.places))
        if not parts:
            self.maps.put(bitmask, window, self.image_size)
            self.bitmap_areas.append(float(np.count_nonzero(bitmask)))

    def polygons(self) -> list[list[Polygon]]:
        """Return the parts of each instance, nothing cut off; none where it is a bitmap."""
        parts = iter(np.split(self.points, np.cumsum(self.part_lengths)[:-1]) if self.part_lengths else [])
        return [[next(parts) for _ in range(num_parts)] for num_parts in self.part_counts]

    def targets(self, min_visibility: float) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.uint8]]:
        """Return boxes (N, 4) xyxy, labels (N,) and box masks (N, M, M) of the instances that are visible enough.

        Args:
            min_visibility: the fraction of an instance that must be visible.
        """
        boxes, areas = self.maps.boxes_and_areas()
        drawn = self._draw_polygons(boxes, min_visibility) | self._draw_bitmaps(boxes, areas, min_visibility)
        kept = sorted(drawn)
        return (
            np.array([drawn[position][0] for position in kept], np.float32).reshape(-1, 4),
            self.labels[kept],
            np.array([drawn[position][1] for position in kept], np.uint8).reshape(-1, BOX_MASK_SIZE, BOX_MASK_SIZE),
        )

    def _draw_polygons(self, bitmap_boxes: NDArray[np.float64], min_visibility: float) -> dict[int, Drawn]:
        """Return position -> box and box mask. Those that nothing hides are drawn in one go."""
        shapes = self.polygons()
        covers = [self._cover(i, shapes[i], bitmap_boxes) for i in range(self.num_beneath, len(shapes))]
        drawn: dict[int, Drawn] = {}
        unhidden: dict[int, tuple[Sequence[Polygon], Box]] = {}
        for position, visible in visible_polygons(shapes, self.image_size, min_visibility).items():
            hiding = [cover for cover in covers if cover.hides(position, visible.box)]
            if not hiding:
                unhidden[position] = visible.parts, visible.box
            elif found := draw_behind(visible.parts, visible.box, hiding, visible.min_fraction):
                drawn[position] = found
        return drawn | draw_unhidden(unhidden)

    def _draw_bitmaps(
        self, boxes: NDArray[np.float64], areas: NDArray[np.int64], min_visibility: float
    ) -> dict[int, Drawn]:
        """Return position -> box and box mask."""
        is_seen = (areas > 0) & (areas >= min_visibility * np.array(self.bitmap_areas))
        return {
            position: (boxes[i], bitmask_to_box_mask(self.maps.bitmask(i, boxes[i]), BOX_MASK_SIZE))
            for position, i in enumerate(self.bitmap_of)
            if i is not None and is_seen[i]
        }

    def _cover(self, position: int, parts: list[Polygon], bitmap_boxes: NDArray[np.float64]) -> Cover:
        bitmap = self.bitmap_of[position]
        if bitmap is None:
            return Cover(position, polygons_to_box(parts), partial(polygons_to_box_mask, parts))
        return Cover(position, bitmap_boxes[bitmap], partial(self._sample_bitmap, bitmap))

    def _sample_bitmap(self, i: int, box: Box, size: int) -> Bitmask:
        """Sample bitmap ``i`` at the centres of the (size, size) cells of a box within the image."""
        centres = box[:2, None] + (box[2:] - box[:2])[:, None] * (np.arange(size) + 0.5) / size
        columns, rows = centres.astype(np.int64)
        return self.maps.sample(i, np.ix_(rows, columns))


def _frame_of(image_size: ImageSize) -> Polygon:
    height, width = image_size
    return np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])


def _clipped(parts: list[Polygon], image_size: ImageSize) -> list[Polygon]:
    return [clipped for part in parts if len(clipped := clip_polygon(part, image_size))]
