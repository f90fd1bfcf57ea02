"""Pictures as a notebook shows them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image as PilImage

from instseg.visualization.sheets import contact_sheet, tile_size

SIDE_PX = 1280
"""The longer side of a picture, at most."""
COLUMNS = 3
"""Pictures in a row of a sheet."""


def picture_png(picture: PilImage.Image) -> bytes:
    """Return a picture as PNG, no larger than a notebook shows it.

    Args:
        picture: of any size; it is scaled in place.
    """
    file = io.BytesIO()
    picture.thumbnail((SIDE_PX, SIDE_PX))
    picture.save(file, "PNG")
    return file.getvalue()


def sheet_png(pictures: Sequence[PilImage.Image], captions: Sequence[str]) -> bytes | None:
    """Return a sheet of pictures as PNG; None without any.

    Args:
        pictures: RGB, of any sizes.
        captions: text above each.
    """
    if not pictures:
        return None
    columns = min(COLUMNS, len(pictures))
    tile = tile_size(len(pictures), columns)
    return picture_png(PilImage.fromarray(contact_sheet([*map(np.asarray, pictures)], columns, tile, captions)))
