"""LabelMe json made for tests, with a photo for each."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from factories import make_picture, write_json, write_picture
from PIL import Image as PilImage

SIZE = (12, 16)
TRIANGLE = [[2, 2], [9, 2], [9, 9]]


def shape(label: Any = "car", points: Any = TRIANGLE, shape_type: Any = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": None, "shape_type": shape_type, "flags": {}, **more}


def write_labels(root: Path, name: str, *shapes: Any, photo: str | None = "", **more: Any) -> Path:
    """``root/name.json``, and a photo of that name beside it; ``photo`` names another, None writes none."""
    content = {"version": "5.3.1", "flags": {}, "shapes": list(shapes), "imagePath": f"{Path(name).name}.png"}
    if photo is not None:
        write_picture(root / (photo or f"{name}.png"), SIZE)
    return write_json(root / f"{name}.json", {**content, "imageHeight": SIZE[0], "imageWidth": SIZE[1], **more})


def png(bitmask: np.ndarray) -> str:
    buffer = io.BytesIO()
    PilImage.fromarray(np.asarray(bitmask, bool)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def jpeg() -> str:
    buffer = io.BytesIO()
    PilImage.fromarray(make_picture(SIZE)).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()
