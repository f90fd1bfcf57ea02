"""Label Studio's exports as it writes them: tasks with their regions, and COCO."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from factories import write_json, write_picture
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.data.formats.labelstudio.brush_rle import encode_brush_rle
from instseg.data.formats.labelstudio.reader import LabelStudioReader
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import Labels

SIZE = (20, 40)  # of the photos that the tasks are about
PHOTO = "/data/upload/3/fb26c02b-a.png"
SQUARE = [[10, 10], [50, 10], [50, 60], [10, 60]]
"""In percent; in px of a photo of SIZE the box 4, 2, 20, 12."""


def region(kind: str, label: str | None = "car", region_id: str | None = "r1", **value: Any) -> dict[str, Any]:
    """A result as the labelling page saves it: ``region("polygonlabels", points=…)``."""
    labels = {kind: [label]} if label is not None and kind.endswith("labels") else {}
    return {
        **({"id": region_id} if region_id is not None else {}),
        "type": kind,
        "from_name": "label",
        "to_name": "img",
        "origin": "manual",
        "original_width": SIZE[1],
        "original_height": SIZE[0],
        "image_rotation": 0,
        "value": {**value, **labels},
    }


def polygon(label: str | None = "car", points: Any = SQUARE, **more: Any) -> dict[str, Any]:
    return {**region("polygonlabels", label, points=points, closed=True), **more}


def brush(bitmask: NDArray[Any], label: str = "car") -> dict[str, Any]:
    return region("brushlabels", label, format="rle", rle=encode_brush_rle(bitmask))


def bitmask_address(bitmask: NDArray[Any]) -> str:
    """Black on transparent, as ``data:image/png``."""
    pixels = np.zeros((*bitmask.shape, 4), dtype=np.uint8)
    pixels[..., 3] = bitmask * 255
    written = io.BytesIO()
    PilImage.fromarray(pixels).save(written, "png")
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()


def annotation(*results: Any, **more: Any) -> dict[str, Any]:
    created = {"created_at": "2024-01-01T10:00:00Z", "updated_at": "2024-01-01T10:00:00Z"}
    return {"id": 1, "completed_by": 1, "was_cancelled": False, "ground_truth": False, **created, **more} | {
        "result": list(results)
    }


def task(*annotations: Any, task_id: int = 1, photo: Any = PHOTO, **more: Any) -> dict[str, Any]:
    """One task; results in place of annotations stand for the one annotation that has them."""
    given = [one if "result" in one else annotation(one) for one in annotations]
    return {"id": task_id, "annotations": given, "predictions": [], "data": {"image": photo}, **more}


def write_export(root: Path, content: Any, *photos: str, name: str = "project-1.json") -> Path:
    """An export in ``root``, with photos of SIZE."""
    write_json(root / name, content)
    for photo in photos:
        write_picture(root / photo, SIZE)
    return root


def read(root: Path, **options: Any) -> tuple[dict[str, Labels], dict[str, Findings]]:
    """Labels and findings by split."""
    findings: defaultdict[str, Findings] = defaultdict(Findings)
    return LabelStudioReader(root, **options).read(findings), findings


def read_all(root: Path, **options: Any) -> tuple[Labels, dict[str, list[str]]]:
    """Of an export without splits: the labels, and what was found by kind."""
    labels, findings = read(root, **options)
    return labels["all"], dict(findings["all"].names)
