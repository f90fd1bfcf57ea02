"""Simple copy-paste (Ghiasi et al. 2021): instances of another training image, cut out and put on top of this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.masks import clip_polygon, polygons_to_box, polygons_to_rle, rle_to_bitmask, rle_to_box
from instseg.core.types import Bitmask, Image, ImageSize, Instances, Polygon
from instseg.data.transforms.protocol import Donor
from instseg.data.transforms.resize import Resize, is_range, resize_image
from instseg.data.transforms.targets import MovingInstances

MIN_SIDE_PX = 4
"""A smaller visible part is not pasted: shrunk by a later transform, it would be seen but be no target."""


@dataclass(slots=True)
class Cutout:
    """Instance without the rest of its image, at the size at which it is pasted."""

    pixels: Image  # (h, w, 3)
    bitmask: Bitmask  # (h, w)
    parts: list[Polygon]  # from the corner of ``pixels``; empty where the instance is a bitmap

    def mirrored(self) -> Cutout:
        """Return the cutout flipped from left to right."""
        width = self.bitmask.shape[1]
        parts = [np.stack([width - part[:, 0], part[:, 1]], axis=1) for part in self.parts]
        return Cutout(np.ascontiguousarray(self.pixels[:, ::-1]), np.ascontiguousarray(self.bitmask[:, ::-1]), parts)


@dataclass(frozen=True, slots=True)
class CopyPaste:
    """Paste of some instances of another image, all scaled and mirrored alike, each at a place of its own.

    Hidden pixels are taken from the masks and boxes below; each covers those that were pasted before it.

    Args:
        probability: fraction of the images that get something pasted.
        max_pasted: 1 to this many instances are taken from the other image.
        scale_range: their size, relative to the one that the network would see in their source image.
        mirror_probability: chance that they are mirrored.
    """

    probability: float = 0.5
    max_pasted: int = 8
    scale_range: tuple[float, float] | Sequence[float] = (0.5, 1.25)
    mirror_probability: float = 0.5

    def __post_init__(self) -> None:
        _check("probability", self.probability, _is_fraction(self.probability), "a fraction, 0 to 1")
        _check(
            "mirror_probability", self.mirror_probability, _is_fraction(self.mirror_probability), "a fraction, 0 to 1"
        )
        _check("max_pasted", self.max_pasted, isinstance(self.max_pasted, int) and self.max_pasted >= 1, "1 or more")
        _check("scale_range", self.scale_range, is_range(self.scale_range), "[low, high], 0 < low <= high")

    def __call__(
        self, image: Image, moving: MovingInstances, donor: Donor, resize: Resize, random: np.random.Generator
    ) -> Image:
        """Paste, with the chance that is configured.

        Args:
            image: uint8 (H, W, 3) RGB, network frame.
            moving: the instances of the image; gets the new ones.
            donor: gives the other image.
            resize: of the other image, before the scale.
            random: decides everything.

        Returns:
            A new image where something was pasted, else ``image``.
        """
        found = donor(random) if random.random() < self.probability else None
        if found is None:
            return image
        image, (source, instances) = image.copy(), found
        size = resize.output_size(source.shape[:2], random.uniform(self.scale_range[0], self.scale_range[1]))
        mirror = random.random() < self.mirror_probability
        occupied = np.flatnonzero(instances.labels > 0)  # regions to ignore, and boxes without masks, stay
        for i in occupied[self._chosen(len(occupied), random)].tolist():
            cutout = cut_out(source, instances, i, size)
            if cutout is not None:
                cutout = cutout.mirrored() if mirror else cutout
                paste(image, moving, cutout, int(instances.labels[i]), random)
        return image

    def _chosen(self, num_instances: int, random: np.random.Generator) -> list[int]:
        number = int(random.integers(1, min(self.max_pasted, num_instances) + 1)) if num_instances else 0
        return [int(i) for i in random.permutation(num_instances)[:number]]


def _check(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise InstsegError(f"augmentation.copy_paste.{name}={value}: expected {expected}")


def _is_fraction(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def cut_out(source: Image, instances: Instances, i: int, size: ImageSize) -> Cutout | None:
    """Cut out one instance as it looks when its image is resized.

    Args:
        source: uint8 (H, W, 3) RGB, original frame.
        instances: of the image.
        i: index of the instance.
        size: (height, width) px to which the whole image is resized.

    Returns:
        None where nothing can be seen.
    """
    rle = instances.rles[i]
    parts = [clip_polygon(part, source.shape[:2]) for part in instances.polygons[i]]
    parts = [part for part in parts if len(part)]
    if rle is None and not parts:
        return None
    box = polygons_to_box(parts) if rle is None else rle_to_box(rle)
    corner, end = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
    window = np.s_[corner[1] : end[1], corner[0] : end[0]]
    width, height = np.maximum(1, np.rint((end - corner) * size[::-1] / source.shape[1::-1])).astype(int).tolist()
    pixels = source[window]
    if pixels.size == 0:
        return None
    if rle is not None:
        whole = np.ascontiguousarray(rle_to_bitmask(rle)[window])
        bitmask = cv2.resize(whole, (width, height), interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8, copy=False)
    else:
        parts = [(part - corner) * (width, height) / (end - corner) for part in parts]
        bitmask = rle_to_bitmask(polygons_to_rle(parts, (height, width)))
    return Cutout(resize_image(pixels, (height, width)), bitmask, parts)


def paste(image: Image, moving: MovingInstances, cutout: Cutout, label: int, random: np.random.Generator) -> None:
    """Paste a cutout into an image, at a random place within it; a cutout larger than the image fills it.

    Args:
        image: uint8 (H, W, 3) RGB, network frame; changed in place.
        moving: the instances of the image; gets the new one.
        cutout: the instance.
        label: 1..num_categories.
        random: decides the place.
    """
    size = cutout.bitmask.shape
    top, left = (_offset(room, random) for room in (image.shape[0] - size[0], image.shape[1] - size[1]))
    seen = np.s_[max(0, -top) : image.shape[0] - top, max(0, -left) : image.shape[1] - left]
    bitmask = np.ascontiguousarray(cutout.bitmask[seen])
    if min(cv2.boundingRect(bitmask)[2:]) < MIN_SIDE_PX:
        return
    parts = [clip_polygon(part + np.array([left, top]), image.shape[:2]) for part in cutout.parts]
    corner = max(0, left), max(0, top)
    _blend(image[corner[1] :, corner[0] :][: bitmask.shape[0], : bitmask.shape[1]], cutout.pixels[seen], bitmask)
    moving.put_on_top(label, [part for part in parts if len(part)], bitmask, corner)


def _offset(room: int, random: np.random.Generator) -> int:
    return int(random.integers(min(0, room), max(0, room) + 1))


def _blend(window: Image, pixels: Image, bitmask: Bitmask) -> None:
    """Blend in place, with an edge of a pixel's softness, as lenses draw it."""
    opacity = cv2.GaussianBlur(bitmask.astype(np.float32), (3, 3), 0)
    window[:] = cv2.blendLinear(pixels, window, opacity, 1 - opacity)
