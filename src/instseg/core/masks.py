"""Pure functions between the forms of a mask: polygon, run-length (RLE), bitmask, box, box-frame mask.

Polygons are rasterised by pycocotools, whose areas are true (cv2.fillPoly on rounded points adds a rim: 22 % at
a radius of 5 px). Bitmasks are (H, W) uint8 of 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.errors import InstsegError
from instseg.core.types import ImageSize, Polygon, Rle

Bitmask = NDArray[np.uint8]
Box = NDArray[np.float64]


def polygon_area(polygon: Polygon) -> float:
    """Area in px² by the shoelace formula, never negative."""
    x, y = polygon[:, 0], polygon[:, 1]
    open_chain = np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])
    return abs(float(open_chain + x[-1] * y[0] - x[0] * y[-1])) / 2


def clip_polygon(polygon: Polygon, image_size: ImageSize) -> Polygon:
    """The part inside the image, (0, 2) if there is none (Sutherland & Hodgman, 1974).

    Where a concave shape falls into several pieces they stay joined by seams without area along the border.
    """
    height, width = image_size
    if polygon.size and polygon.min() >= 0 and polygon[:, 0].max() <= width and polygon[:, 1].max() <= height:
        return polygon
    for axis, limit, sign in ((0, 0.0, 1.0), (0, float(width), -1.0), (1, 0.0, 1.0), (1, float(height), -1.0)):
        polygon = _clip_to_half_plane(polygon, axis, limit, sign)
        if len(polygon) < 3:
            return np.zeros((0, 2))
    return _without_spikes(polygon)


def _without_spikes(polygon: Polygon) -> Polygon:
    """Drop the points where the outline runs along the border and back: they have no area but widen the box."""
    while len(polygon) >= 3:
        polygon = polygon[(polygon != _shifted(polygon)).any(axis=1)]
        level = polygon == _shifted(polygon)  # the side that ends in a point is upright or level
        straight = (level[:-1] & level[1:]).any(axis=1)
        straight = np.append(straight, (level[-1:] & level[:1]).any())
        if not straight.any():
            break
        polygon = polygon[~straight]
    return polygon if len(polygon) >= 3 else np.zeros((0, 2))


def _shifted(values: NDArray[Any]) -> NDArray[Any]:
    """What belongs to the vertex before, at the place of each vertex; five times as fast as np.roll."""
    return np.concatenate([values[-1:], values[:-1]])


def _clip_to_half_plane(polygon: Polygon, axis: int, limit: float, sign: float) -> Polygon:
    """Keep where sign * (coordinate - limit) >= 0."""
    distance = sign * (polygon[:, axis] - limit)
    inside = distance >= 0
    if inside.all():
        return polygon
    crosses = inside != _shifted(inside)
    before, far = _shifted(polygon)[crosses], _shifted(distance)[crosses]
    crossings = before + (far / (far - distance[crosses]))[:, None] * (polygon[crosses] - before)
    crossings[:, axis] = limit
    points, wanted = np.repeat(polygon, 2, axis=0), np.stack([crosses, inside], axis=1).reshape(-1)
    points[::2][crosses] = crossings  # before each vertex the place where the side that ends in it crosses
    kept: Polygon = points[wanted]
    return kept


def polygons_to_box(polygons: Sequence[Polygon]) -> Box:
    """(4,) xyxy that encloses all vertices, exact: no pixel grid involved."""
    points = np.concatenate(polygons)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def polygons_to_rle(polygons: Sequence[Polygon], image_size: ImageSize) -> Rle:
    """Union of the parts as a compressed RLE."""
    return _flat_polygons_to_rle([polygon.reshape(-1).tolist() for polygon in polygons], image_size)


def _flat_polygons_to_rle(polygons: list[list[float]], image_size: ImageSize) -> Rle:
    rles = coco_mask.frPyObjects(polygons, *image_size)
    union: Rle = rles[0] if len(rles) == 1 else coco_mask.merge(rles)
    return union


def bitmask_to_rle(bitmask: NDArray[Any]) -> Rle:
    """(H, W) of any dtype, non-zero is inside -> compressed RLE."""
    rle: Rle = coco_mask.encode(np.asfortranarray(bitmask.astype(bool).view(np.uint8)))
    return rle


def rle_to_bitmask(rle: Rle) -> Bitmask:
    bitmask: Bitmask = coco_mask.decode(rle)
    return bitmask


def rle_area(rle: Rle) -> float:
    return float(coco_mask.area(rle))


def rle_to_box(rle: Rle) -> Box:
    """(4,) xyxy with exclusive end; zeros for an empty mask."""
    x, y, width, height = coco_mask.toBbox(rle)
    return np.array([x, y, x + width, y + height], dtype=np.float64)


def segmentation_to_rle(segmentation: Any, image_size: ImageSize) -> Rle:
    """Any COCO ``segmentation`` (polygons, uncompressed or compressed RLE) -> compressed RLE.

    Raises InstsegError when it is none of these, or an RLE of another size than the image.
    """
    if isinstance(segmentation, list) and segmentation:
        short = [len(part) for part in segmentation if len(part) < 6 or len(part) % 2]
        if short:  # pycocotools would take four numbers for a box
            raise InstsegError(f"a polygon must be three or more x, y; found {short[0]} numbers")
        return _flat_polygons_to_rle(segmentation, image_size)
    if isinstance(segmentation, dict) and {"counts", "size"} <= segmentation.keys():
        if list(segmentation["size"]) != list(image_size):
            raise InstsegError(f"RLE of size {segmentation['size']} in an image of size {list(image_size)}")
        counts = segmentation["counts"]
        compressed = counts.encode() if isinstance(counts, str) else counts
        runs = np.asarray(counts) if isinstance(counts, list) else rle_runs(compressed)
        num_pixels = image_size[0] * image_size[1]
        if not np.issubdtype(runs.dtype, np.integer) or runs.min() < 0 or runs.sum() != num_pixels:
            raise InstsegError(f"RLE counts must be whole, not negative and add up to {num_pixels}")
        if isinstance(counts, list):
            rle: Rle = coco_mask.frPyObjects(segmentation, *image_size)
            return rle
        return {"size": list(image_size), "counts": compressed}
    raise InstsegError(f"segmentation must be polygons or an RLE, found {type(segmentation).__name__}")


def rle_runs(counts: bytes) -> NDArray[np.int64]:
    """Compressed counts -> run lengths, outside first. InstsegError for what is not that."""
    return rles_runs([counts])[0]


def rles_runs(many_counts: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Run lengths of several masks, one mask after the other, and which mask each run belongs to.

    pycocotools decodes damaged counts to garbage without a word. Six bits a character, 48 added: five of a number,
    lowest first, and whether more follow; from the fourth number on it is the difference to the one before last
    (maskApi.c, rleFrString). InstsegError for what is not that.
    """
    joined = b"".join(many_counts)
    codes = np.frombuffer(joined, dtype=np.uint8).astype(np.int64) - 48
    is_last = codes & 32 == 0  # of the characters of a number
    last_of_masks = np.cumsum([len(counts) for counts in many_counts]) - 1
    digits = _numbered(_shifted(is_last))
    is_sound = all(many_counts) and bool(is_last[last_of_masks].all())
    if not is_sound or codes.min() < 0 or codes.max() > 63 or digits.max() > 11:
        raise InstsegError(f"no compressed RLE counts: {joined[:20]!r}")
    ends = np.flatnonzero(is_last)
    runs = np.add.reduceat((codes & 31) << 5 * digits, ends - digits[ends])
    runs -= np.where(codes[ends] & 16, 1 << 5 * (digits[ends] + 1), 0)
    is_first = np.zeros(len(runs), dtype=np.bool_)
    is_first[[0, *(np.searchsorted(ends, last_of_masks[:-1]) + 1)]] = True
    number = _numbered(is_first)
    for start in (1, 2):
        _undo_differences(runs, np.flatnonzero((number >= start) & ((number ^ start) & 1 == 0)), number == start)
    return runs, np.cumsum(is_first) - 1


def _numbered(is_first: NDArray[np.bool_]) -> NDArray[np.int64]:
    """0, 1, 2 and so on, anew at each first one."""
    numbers = np.arange(len(is_first))
    return numbers - np.maximum.accumulate(np.where(is_first, numbers, 0))


def _undo_differences(values: NDArray[np.int64], chosen: NDArray[np.intp], is_first: NDArray[np.bool_]) -> None:
    """In place: each of the chosen values was told as its difference to the one chosen before, but the first ones."""
    sums = np.cumsum(values[chosen])
    is_first = is_first[chosen]
    before = (sums - values[chosen])[is_first]
    values[chosen] = sums - before[np.cumsum(is_first) - 1]


def polygons_to_box_mask(polygons: Sequence[Polygon], box: Box, size: int) -> Bitmask:
    """Draw the parts into the (size, size) frame of ``box``."""
    box_mask: Bitmask = polygons_to_box_masks([polygons], box[None], size)[0]
    return box_mask


def polygons_to_box_masks(
    instances: Sequence[Sequence[Polygon]], boxes: NDArray[np.float64], size: int
) -> NDArray[np.uint8]:
    """(N, size, size): the parts of each instance drawn into the frame of its box, all in one go; boxes: (N, 4)."""
    if not len(instances):
        return np.zeros((0, size, size), np.uint8)
    last = np.cumsum([len(parts) for parts in instances]).tolist()
    boxes_of_parts = boxes.repeat([len(parts) for parts in instances], axis=0)
    rles = _draw_in_frames([part for parts in instances for part in parts], boxes_of_parts, size)
    whole = [rles[a] if b - a == 1 else coco_mask.merge(rles[a:b]) for a, b in pairwise([0, *last])]
    column_by_column = coco_mask.decode(whole).transpose(2, 1, 0)
    box_masks = np.empty((len(whole), size, size), np.uint8)
    for drawn, box_mask in zip(column_by_column, box_masks, strict=True):
        cv2.transpose(drawn, box_mask)  # three times as fast as NumPy's copy
    return box_masks


def _draw_in_frames(parts: Sequence[Polygon], boxes: NDArray[np.float64], size: int) -> list[Rle]:
    """Each part in the (size, size) frame of the box of its own: (number of parts, 4)."""
    lengths = [len(part) for part in parts]
    scales = size / np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    points = (np.concatenate(parts) - boxes[:, :2].repeat(lengths, 0)) * scales.repeat(lengths, 0)
    flat, bounds = points.reshape(-1), np.cumsum([0, *(2 * length for length in lengths)]).tolist()
    rles: list[Rle] = coco_mask.frPyObjects([flat[a:b] for a, b in pairwise(bounds)], size, size)
    return rles


def bitmask_to_box_mask(bitmask: Bitmask, size: int) -> Bitmask:
    """What a bitmask has in its box, (h, w), as (size, size), bilinear."""
    resized = cv2.resize(bitmask.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    return (resized >= 0.5).view(np.uint8)


def mask_probs_to_rle(
    mask_probs: NDArray[np.float32], box: NDArray[np.floating[Any]], image_size: ImageSize, threshold: float = 0.5
) -> Rle:
    """Paste an (m, m) mask into its box and encode it, touching only the pixels of the box.

    Follows torchvision's ``paste_masks_in_image``: one pixel of zeros around the mask, the box grown by the
    same share and cut to whole pixels, bilinear. ``box`` is xyxy in pixels of the image.
    """
    m = mask_probs.shape[0]
    padded = np.zeros((m + 2, m + 2), np.float32)
    padded[1:-1, 1:-1] = mask_probs
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * (m + 2) / m
    x1, y1 = (int(v) for v in centre - half)
    x2, y2 = (int(v) for v in centre + half)
    width, height = max(x2 - x1 + 1, 1), max(y2 - y1 + 1, 1)
    inside = cv2.resize(padded, (width, height), interpolation=cv2.INTER_LINEAR) > threshold
    left, top = max(x1, 0), max(y1, 0)
    crop = inside[top - y1 : max(image_size[0] - y1, 0), left - x1 : max(image_size[1] - x1, 0)]
    return crop_to_rle(crop, left, top, image_size)


def crop_to_rle(crop: NDArray[np.bool_], left: int, top: int, image_size: ImageSize) -> Rle:
    """RLE of an image that is empty but for ``crop`` (h, w) at (left, top); cost grows with the crop alone."""
    height, width = image_size
    rows, columns = crop.shape
    column_by_column = np.zeros(columns * (rows + 1) + 1, np.uint8)  # a pixel outside before all and after each column
    if crop.size:
        inside = np.ascontiguousarray(crop).view(np.uint8)
        cv2.transpose(inside, column_by_column[1:].reshape(columns, rows + 1)[:, :rows])
    changes = np.flatnonzero(column_by_column[1:] != column_by_column[:-1])  # where runs start and end, in turn
    runs = changes + changes // (rows + 1) * (height - rows - 1) + left * height + top
    counts = np.diff(np.concatenate([[0], runs, [height * width]]))
    # A run that reaches the bottom and goes on at the top of the next column leaves a gap of zero between: merge.
    if len(counts) > 3 and not counts[2:-1:2].all():
        gap = 2 + 2 * np.nonzero(counts[2:-1:2] == 0)[0]
        keep = np.ones(len(runs), dtype=bool)
        keep[gap - 1], keep[gap] = False, False
        counts = np.diff(np.concatenate([[0], runs[keep], [height * width]]))
    if counts[-1] == 0:
        counts = counts[:-1]
    rle: Rle = coco_mask.frPyObjects({"counts": counts.tolist(), "size": [height, width]}, height, width)
    return rle
