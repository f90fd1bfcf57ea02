"""Gallery of ordinary labelled images: for a first look at whether the labels mean what they should."""

from __future__ import annotations

import hashlib
from collections import Counter

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.auditing.report import Thumbnail
from instseg.auditing.thumbnails import polygons_of, rows_of
from instseg.core.errors import InstsegError
from instseg.core.text import visible
from instseg.core.types import Image, Polygon
from instseg.data.index.columns import Index
from instseg.data.prepared import PreparedDataset
from instseg.visualization.colours import category_colour
from instseg.visualization.jpeg import encode_jpeg
from instseg.visualization.scaling import resized

NUM_PICTURES = 12
SIDE_PX = 400
OPACITY = 0.35
MIDDLE = (25, 75)  # percentiles of the instances in an image: neither nearly empty nor crowded


def labelled_gallery(prepared: PreparedDataset) -> list[Thumbnail]:
    """Draw some training images with their labels, filled in the colours of their categories.

    Images that cannot be read are skipped. The choice depends on file names alone: first, images that show a category
    not shown yet, then others of the usual number of instances.
    """
    index = prepared.indices["train"]
    pictures: list[Thumbnail] = []
    for image in _chosen(index):
        if len(pictures) == NUM_PICTURES:
            break
        try:
            picture = _picture(index, image)
        except InstsegError:
            continue
        pictures.append(Thumbnail(encode_jpeg(picture), picture.shape[1], _caption(index, image)))
    return pictures


def _chosen(index: Index) -> list[int]:
    """Return images that have instances, the most telling first."""
    labels = [_labels(index, image) for image in range(len(index))]
    counts = [len(found) for found in labels]
    occupied = [count for count in counts if count]
    if not occupied:
        return []
    low, high = np.percentile(occupied, MIDDLE)
    order = sorted(range(len(index)), key=lambda image: _shuffled(index.file_name(image)))
    order.sort(key=lambda image: not low <= counts[image] <= high)  # stable: in each half as shuffled
    shown: set[int] = set()
    first: list[int] = []
    for image in order:
        if not shown.issuperset(labels[image]) and len(first) < NUM_PICTURES // 2:
            shown.update(labels[image])
            first.append(image)
    return first + [image for image in order if counts[image] and image not in first]


def _shuffled(name: str) -> bytes:
    return hashlib.sha256(name.encode(errors="surrogatepass")).digest()


def _labels(index: Index, image: int) -> list[int]:
    rows = rows_of(index, image)
    is_crowd = index.column("iscrowd")[rows.start : rows.stop]
    labels: list[int] = index.column("labels")[rows.start : rows.stop][is_crowd == 0].tolist()
    return labels


def _caption(index: Index, image: int) -> str:
    counts = Counter(index.categories.name(label) for label in _labels(index, image))
    told = ", ".join(f"{count} × {visible(name)}" for name, count in counts.most_common(4))
    return f"{told}{', …' if len(counts) > 4 else ''} · {index.file_name(image)}"


def _picture(index: Index, image: int) -> Image:
    """Return (h, w, 3) uint8 RGB, its longer side SIDE_PX."""
    pixels = index.read_image(image)
    scale = SIDE_PX / max(pixels.shape[:2])
    canvas = resized(pixels, (max(1, round(pixels.shape[0] * scale)), max(1, round(pixels.shape[1] * scale))))
    labels = index.column("labels")
    parts = [(int(labels[row]), polygons_of(index, row, image)) for row in rows_of(index, image)]
    tinted = canvas.copy()
    for label, polygons in parts:
        cv2.fillPoly(tinted, [_pixels(polygon * scale) for polygon in polygons], category_colour(label), cv2.LINE_AA)
    canvas = cv2.addWeighted(tinted, OPACITY, canvas, 1 - OPACITY, 0).astype(np.uint8)
    for label, polygons in parts:
        lines = [_pixels(polygon * scale) for polygon in polygons]
        cv2.polylines(canvas, lines, True, category_colour(label), 2, cv2.LINE_AA)
    return canvas


def _pixels(polygon: Polygon) -> NDArray[np.int32]:
    return np.round(np.clip(polygon, -SIDE_PX, 2 * SIDE_PX)).astype(np.int32)
