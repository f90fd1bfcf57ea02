"""The place of a GeoTIFF on the map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

from instseg.core.types import ImageSize, Polygon

SUFFIXES = (".tif", ".tiff")
GEO_KEYS = 34735
"""Tag ``GeoKeyDirectoryTag`` of GeoTIFF (OGC 19-008r4)."""


@dataclass(frozen=True, slots=True)
class Georeference:
    """A coordinate system, and the way from the pixels of an image to it."""

    crs: str
    """Its URN, such as ``urn:ogc:def:crs:EPSG::32633``, or its definition as text where it has none."""
    to_map: Callable[[Polygon], Polygon]
    """(P, 2) x, y in px of the upright image to coordinates of the map."""


def is_georeferenced(path: Path) -> bool:
    """Tell whether a file is a GeoTIFF.

    Args:
        path: of a readable image.
    """
    if path.suffix.lower() not in SUFFIXES:
        return False
    with PilImage.open(path) as image:
        return GEO_KEYS in getattr(image, "tag_v2", ())


def georeference_of(path: Path, image_size: ImageSize) -> Georeference | None:
    """Read where a GeoTIFF lies; None for any other image, or without rasterio.

    Args:
        path: of a readable image.
        image_size: (height, width) px of the upright image; one that was turned by its EXIF orientation has no place.
    """
    if not is_georeferenced(path):
        return None
    try:
        rasterio = import_module("rasterio")
    except ImportError:
        return None
    with rasterio.open(path) as raster:
        if raster.crs is None or (raster.height, raster.width) != image_size:
            return None
        matrix = np.array(raster.transform, np.float64).reshape(3, 3)
        code = raster.crs.to_epsg()
        crs = f"urn:ogc:def:crs:EPSG::{code}" if code else str(raster.crs.to_wkt())
    return Georeference(crs, lambda ring: ring @ matrix[:2, :2].T + matrix[:2, 2])
