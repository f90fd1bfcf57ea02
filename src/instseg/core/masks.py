"""Pure functions between the forms of a mask: polygon, run-length (RLE), bitmask and box.

Polygons are rasterised by pycocotools, whose areas are true (cv2.fillPoly on rounded points adds a rim: 22 % at a
radius of 5 px).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from instseg.core.errors import InstsegError
from instseg.core.types import Bitmask, Box, ImageSize, Polygon, Rle

ScalarT = TypeVar("ScalarT", bound=np.generic)
MAX_COORDINATE_PX = 1e6
"""Farther out lies no image: it is a damaged number, which pycocotools would rasterise for minutes."""


def polygon_area(polygon: Polygon) -> float:
    """Compute the area in px² by the shoelace formula; never negative."""
    x, y = polygon[:, 0], polygon[:, 1]
    open_chain = np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])
    return abs(float(open_chain + x[-1] * y[0] - x[0] * y[-1])) / 2


def clip_polygon(polygon: Polygon, image_size: ImageSize) -> Polygon:
    """Cut a polygon at the border of the image (Sutherland & Hodgman, 1974).

    Where a concave polygon falls into several pieces, seams of zero width along the border keep them joined.

    Args:
        polygon: (P, 2) in pixels of the image.
        image_size: height, width in pixels.

    Returns:
        The part inside the image, (0, 2) where there is none.
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
    """Drop points where the polygon runs along the border and back: they add no area but widen the box."""
    while len(polygon) >= 3:
        polygon = polygon[(polygon != _shifted(polygon)).any(axis=1)]
        level = polygon == _shifted(polygon)  # the side that ends in a point is upright or level
        straight = (level[:-1] & level[1:]).any(axis=1)
        straight = np.append(straight, (level[-1:] & level[:1]).any())
        if not straight.any():
            break
        polygon = polygon[~straight]
    return polygon if len(polygon) >= 3 else np.zeros((0, 2))


def _shifted(values: NDArray[ScalarT]) -> NDArray[ScalarT]:
    """Move each row one place on, the last to the front; five times as fast as np.roll."""
    return np.concatenate([values[-1:], values[:-1]])


def _clip_to_half_plane(polygon: Polygon, axis: int, limit: float, sign: float) -> Polygon:
    """Keep the part where sign * (coordinate - limit) >= 0."""
    distance = sign * (polygon[:, axis] - limit)
    inside = distance >= 0
    if inside.all():
        return polygon
    crosses = inside != _shifted(inside)
    before, far = _shifted(polygon)[crosses], _shifted(distance)[crosses]
    crossings = before + (far / (far - distance[crosses]))[:, None] * (polygon[crosses] - before)
    crossings[:, axis] = limit
    points, wanted = np.repeat(polygon, 2, axis=0), np.stack([crosses, inside], axis=1).reshape(-1)
    points[::2][crosses] = crossings  # before each vertex, the point where the side that ends in it crosses the limit
    kept: Polygon = points[wanted]
    return kept


def polygons_to_box(polygons: Sequence[Polygon]) -> Box:
    """Return the box that encloses all vertices, exactly: no pixel grid is involved."""
    points = np.concatenate(polygons)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def box_to_polygon(box: NDArray[np.float64]) -> Polygon:
    """Return a box (4,) xyxy as a polygon of its corners (4, 2)."""
    x1, y1, x2, y2 = box
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], dtype=np.float64)


def polygons_to_rle(polygons: Sequence[Polygon], image_size: ImageSize) -> Rle:
    """Rasterise the union of the polygons.

    Args:
        polygons: each (P, 2) in continuous pixels of the image.
        image_size: height, width in pixels.
    """
    return _flat_polygons_to_rle([polygon.reshape(-1).tolist() for polygon in polygons], image_size)


def _flat_polygons_to_rle(polygons: list[list[float]], image_size: ImageSize) -> Rle:
    rles = coco_mask.frPyObjects(polygons, *image_size)
    union: Rle = rles[0] if len(rles) == 1 else coco_mask.merge(rles)
    return union


def bitmask_to_rle(bitmask: NDArray[np.generic]) -> Rle:
    """Encode a bitmask (H, W) of any dtype; non-zero pixels are inside."""
    rle: Rle = coco_mask.encode(np.asfortranarray(bitmask.astype(bool).view(np.uint8)))
    return rle


def rle_to_bitmask(rle: Rle) -> Bitmask:
    """Decode an RLE."""
    bitmask: Bitmask = coco_mask.decode(rle)
    return bitmask


def rle_area(rle: Rle) -> float:
    """Count the pixels inside."""
    return float(coco_mask.area(rle))


def rle_to_box(rle: Rle) -> Box:
    """Return the tight box with exclusive end; zeros for an empty mask."""
    x, y, width, height = coco_mask.toBbox(rle)
    return np.array([x, y, x + width, y + height], dtype=np.float64)


def rle_to_crop(rle: Rle) -> tuple[Bitmask, tuple[int, int]]:
    """Decode the pixels within the box of a mask; the cost does not depend on the size of the image.

    Args:
        rle: of the image's size.

    Returns:
        (h, w) of 0 and 1, contiguous, (0, 0) for an empty mask; and x, y of its corner in the image.
    """
    left, top, right, bottom = map(int, rle_to_box(rle))
    height, rows = int(rle["size"][0]), bottom - top
    ends = np.cumsum(rle_runs(rle["counts"]))
    starts, stops = ends[:-1:2], ends[1::2]
    is_run = stops > starts
    starts, last = starts[is_run], stops[is_run] - 1
    # A run over several columns fills them from top to bottom: the crop is as high as the image then.
    changes = np.zeros((right - left) * rows + 1, np.int8)
    changes[(starts // height - left) * rows + starts % height - top] = 1
    np.subtract.at(changes, (last // height - left) * rows + last % height - top + 1, 1)
    columns = np.cumsum(changes[:-1], dtype=np.int8).view(np.uint8).reshape(right - left, rows)
    return np.ascontiguousarray(columns.T), (left, top)


def segmentation_to_rle(segmentation: object, image_size: ImageSize) -> Rle:
    """Convert any COCO ``segmentation`` to a compressed RLE.

    Args:
        segmentation: list of flat polygons, or an RLE: its counts a list, bytes or text.
        image_size: height, width in pixels.

    Raises:
        InstsegError: it is none of these, or an RLE that is damaged or of another size than the image.
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
    """Decode compressed counts to run lengths, outside first.

    Raises:
        InstsegError: the counts are damaged.
    """
    return rles_runs([counts])[0]


def rles_runs(many_counts: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Decode the compressed counts of several masks to run lengths.

    pycocotools silently decodes damaged counts to garbage. A character minus 48 holds six bits: five bits of a number,
    lowest first, and a flag that more follow. From the fourth number on each is the difference to the number two
    before it (maskApi.c, rleFrString).

    Returns:
        (R,) run lengths, outside first, one mask after another; (R,) the position of the mask that each belongs to.

    Raises:
        InstsegError: counts are damaged.
    """
    joined = b"".join(many_counts)
    codes = np.frombuffer(joined, dtype=np.uint8).astype(np.int64) - 48
    is_last = codes & 32 == 0  # character of a number
    last_of_masks = np.cumsum([len(counts) for counts in many_counts]) - 1
    digits = _numbered(_shifted(is_last))
    is_sound = all(many_counts) and bool(is_last[last_of_masks].all())
    if not is_sound or codes.min() < 0 or codes.max() > 63 or digits.max() > 11:
        raise InstsegError(f"expected compressed RLE counts, found {joined[:20]!r}")
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
    """Count 0, 1, 2, …, starting again at each first one."""
    numbers = np.arange(len(is_first))
    return numbers - np.maximum.accumulate(np.where(is_first, numbers, 0))


def _undo_differences(values: NDArray[np.int64], chosen: NDArray[np.intp], is_first: NDArray[np.bool_]) -> None:
    """Replace differences by values, in place: each chosen value but the first ones holds that to the one before."""
    sums = np.cumsum(values[chosen])
    is_first = is_first[chosen]
    before = (sums - values[chosen])[is_first]
    values[chosen] = sums - before[np.cumsum(is_first) - 1]
