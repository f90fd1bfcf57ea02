"""Masks as paths of an SVG."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from instseg.core.polygons import pixel_polygons
from instseg.core.simplification import simplified
from instseg.core.types import Rle
from instseg.visualization.scaling import cut_mask

TOLERANCE_PX = 0.6


def mask_path(rle: Rle, scale: float) -> str:
    """Return the edge of a mask as the path of an SVG; "" for an empty mask.

    Args:
        rle: of the image's size.
        scale: of the shown image to the image.
    """
    mask, corner = cut_mask(rle, scale)
    rings = (simplified(ring, TOLERANCE_PX) + corner for ring in pixel_polygons(mask))
    return "".join(map(_path, rings))


def _path(ring: NDArray[np.float64]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in ring.round(1).tolist()) + "Z"
