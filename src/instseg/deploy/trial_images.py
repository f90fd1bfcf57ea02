"""Images to compare an exported network on: real ones at five sizes, an empty one, and one of 500 objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle

import numpy as np

from instseg.core.types import Image
from instseg.data.transforms.resize import Resize, resize_image

SCALES = (1.0, 0.5, 0.75, 1.25, 1.6)
"""Of the size that the network was trained at: an image for each."""
GREY = 114
CROWD_ROWS, CROWD_COLUMNS, CROWD_CELL_PX = 20, 25, 48


def trial_images(real: Sequence[Image], min_size: int, max_size: int) -> Iterator[tuple[str, Image]]:
    """Yield names and images, uint8 RGB, in the network frame.

    Args:
        real: at least one; repeated where there are fewer than sizes.
        min_size: px of the shorter side that the network was trained at.
        max_size: px that the longer side had.
    """
    for image, scale in zip(cycle(real), SCALES, strict=False):
        sized = Resize(round(min_size * scale), round(max_size * scale))(image)
        yield _named("real", sized)
    yield _named("empty", np.full((min_size, min_size, 3), GREY, np.uint8))
    yield _named("500 objects", crowd(real))


def crowd(real: Sequence[Image], seed: int = 0) -> Image:
    """Return 500 small copies of images, side by side, each a little different: of equals any may be left out.

    Args:
        real: the images.
        seed: of the differences.
    """
    random = np.random.default_rng(seed)
    small = [resize_image(image, (CROWD_CELL_PX, CROWD_CELL_PX)) for image in real]
    cells = [_varied(small[number % len(small)], random) for number in range(CROWD_ROWS * CROWD_COLUMNS)]
    grid = np.stack(cells).reshape(CROWD_ROWS, CROWD_COLUMNS, CROWD_CELL_PX, CROWD_CELL_PX, 3)
    return grid.transpose(0, 2, 1, 3, 4).reshape(CROWD_ROWS * CROWD_CELL_PX, CROWD_COLUMNS * CROWD_CELL_PX, 3)


def _varied(image: Image, random: np.random.Generator) -> Image:
    turned = np.rot90(image, int(random.integers(4)))
    noisy = turned * random.uniform(0.6, 1.2) + random.normal(0, 4, image.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def made_images(count: int, seed: int = 0) -> list[Image]:
    """Return images of coloured ellipses and boxes on noise, where no real ones are at hand.

    Args:
        count: of the images.
        seed: of the drawing.
    """
    random = np.random.default_rng(seed)
    return [_made(random) for _ in range(count)]


def _made(random: np.random.Generator) -> Image:
    height, width = (int(side) for side in random.integers(240, 480, 2))
    image = random.integers(0, 60, (height, width, 3)).astype(np.uint8)
    y, x = np.mgrid[:height, :width]
    for _ in range(8):
        centre_y, centre_x, half = random.integers(0, height), random.integers(0, width), random.integers(12, 80)
        inside_y, inside_x = np.abs(y - centre_y) / half, np.abs(x - centre_x) / half
        is_inside = (inside_y**2 + inside_x**2 < 1) if random.random() < 0.5 else (np.maximum(inside_y, inside_x) < 1)
        image[is_inside] = random.integers(60, 255, 3)
    return image


def _named(kind: str, image: Image) -> tuple[str, Image]:
    return f"{kind}, {image.shape[1]} x {image.shape[0]} px", image
