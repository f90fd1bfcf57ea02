"""The choice between a whole image and tiles, for images of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from instseg.core.types import Image, ImageSize
from instseg.core.windows import Tile
from instseg.prediction.tiles import tiles_of

CLEARLY_BELOW = 2 / 3
"""An image is tiled where whole it would be shrunk to less than this fraction of the least scale of training."""


class ImageResize(Protocol):
    """The resize to the size that the network was trained at; ``data.transforms.resize.Resize`` is one."""

    def __call__(self, image: Image) -> Image:
        """Return the image, (H, W, 3) uint8 RGB, in the network frame."""
        ...

    def output_size(self, image_size: ImageSize) -> ImageSize:
        """Return the (height, width) px of an image in the network frame."""
        ...


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles as they were asked for.

    Args:
        side: of a tile, px of the image.
        overlap: least overlap of neighbours, as a fraction of the side.
        below: images that whole would have a smaller scale in the network are tiled; None: all larger than a tile.
        trained: the usual scale of training, for people; None where ``below`` is.
    """

    side: int
    overlap: float
    below: float | None = None
    trained: float | None = None

    def tiles(self, image_size: ImageSize, resize: ImageResize) -> list[Tile]:
        """Return the tiles of an image, none where it is better predicted whole.

        Args:
            image_size: (height, width) px.
            resize: of whole images.
        """
        is_small = max(image_size) <= self.side
        if is_small or (self.below is not None and scale_of(image_size, resize) >= self.below):
            return []
        return tiles_of(image_size, self.side, self.overlap)

    def scale(self, resize: ImageResize) -> float:
        """Return the px in the network per px of the image, the same for all tiles.

        Args:
            resize: of whole images; a whole tile is one.
        """
        return scale_of((self.side, self.side), resize)

    def reason(self, image_size: ImageSize, resize: ImageResize) -> str:
        """Say in which tiles an image is predicted, and why.

        Args:
            image_size: (height, width) px.
            resize: of whole images.
        """
        number, whole = len(self.tiles(image_size, resize)), scale_of(image_size, resize)
        tiles = f"{number} of {self.side} px at a scale of {self.scale(resize):.2g}"
        why = "" if self.trained is None else f", in training images had {self.trained:.2g}"
        return f"{tiles} for {image_size[1]} x {image_size[0]} px; whole it would be shrunk to {whole:.2g}{why}"


def scale_of(image_size: ImageSize, resize: ImageResize) -> float:
    """Return the px in the network per px of an image.

    Args:
        image_size: (height, width) px.
        resize: of whole images.
    """
    return max(resize.output_size(image_size)) / max(image_size)
