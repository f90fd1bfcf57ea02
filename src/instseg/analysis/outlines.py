"""Masks as paths of an SVG, and images as addresses that hold them."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.polygons import pixel_polygons
from instseg.core.simplification import simplified
from instseg.core.types import Image, Rle
from instseg.visualization.scaling import cut_mask

JPEG_QUALITY = 80
TOLERANCE_PX = 0.6


def outline(rle: Rle, scale: float) -> str:
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


def data_url(picture: Image) -> str:
    """Return an image as a JPEG within its address.

    Args:
        picture: (H, W, 3) uint8 RGB.
    """
    buffer = io.BytesIO()
    PilImage.fromarray(picture).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
