"""Mask PNGs made for tests, drawn as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.masks import rle_to_bitmask

VOC_PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0] + [7] * 756 + [224, 224, 192]


def numbered(*rows: str) -> NDArray[np.uint8]:
    """``numbered("11.", "#22")`` is (2, 3) with the values 1, 1, 0 and 255, 2, 2."""
    values = {".": 0, "#": 255, **{str(digit): digit for digit in range(10)}}
    return np.array([[values[pixel] for pixel in row] for row in rows], dtype=np.uint8)


def write_mask(path: Path, values: NDArray[Any], palette: list[int] | None = None) -> Path:
    """Gray, 1 bit, 16 bits or RGB as the array says; indexed where there is a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = PilImage.fromarray(values)
    if palette is not None:
        mask.putpalette(palette)
    mask.save(path)
    return path


def as_bitmask(segmentation: dict[str, Any]) -> NDArray[np.uint8]:
    """A mask in a COCO annotation as ``drawn`` gives it."""
    return rle_to_bitmask({**segmentation, "counts": segmentation["counts"].encode()})


def as_drawn(segmentation: dict[str, Any]) -> list[str]:
    """A mask in a COCO annotation as ``drawn`` takes it."""
    return shown_where(as_bitmask(segmentation))


def shown_where(inside: NDArray[Any]) -> list[str]:
    return ["".join(".#"[int(pixel != 0)] for pixel in row) for row in inside]
