"""Pictures as JPEG, for pages and logs."""

from __future__ import annotations

import base64
import io

from PIL import Image as PilImage

from instseg.core.types import Image

QUALITY = 80


def encode_jpeg(picture: Image) -> bytes:
    """Return a picture, (H, W, 3) uint8 RGB, as the bytes of a JPEG file."""
    buffer = io.BytesIO()
    PilImage.fromarray(picture).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def data_url(jpeg: bytes) -> str:
    """Return an address that holds a JPEG file, for a page in one file."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
