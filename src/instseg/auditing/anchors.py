"""Fit of anchors to boxes, and anchor sizes that fit better.

An anchor of size s and ratio r (height / width) is s / sqrt(r) wide and s * sqrt(r) high, rounded to whole pixels as
in torchvision, and lies on the grid of its level, one every ``stride`` px. The fit is measured on that grid: a small
anchor of a coarse level fits an object only if the object happens to lie there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BOXES_AT_ONCE = 100_000
MAX_BOXES = 3000
"""Boxes on which sizes are fitted; more of them hardly change the result."""
SMALLEST, LARGEST, NUM_CANDIDATES = 1.5, 16, 26
"""Candidate sizes of a level as multiples of its stride, the range that its features see. Standard anchors have 8."""
MAX_ROUNDS = 8
LEEWAY = 0.2
"""An object whose best anchor is below the wanted IoU by more than this is rarely found."""


def best_ious(
    boxes: NDArray[np.float64], sizes: Sequence[Sequence[float]], ratios: Sequence[float], strides: Sequence[int]
) -> NDArray[np.float64]:
    """Compute the largest IoU that any anchor has with each box.

    Args:
        boxes: (N, 4) xyxy in pixels of the network frame.
        sizes: anchor sizes of each level, px.
        ratios: height / width.
        strides: grid spacing of each level, px.

    Returns:
        (N,) IoU.
    """
    best = np.zeros(len(boxes))
    for start in range(0, len(boxes), BOXES_AT_ONCE):
        some = boxes[start : start + BOXES_AT_ONCE]
        for level, stride in zip(sizes, strides, strict=True):
            for size in level:
                found = best[start : start + BOXES_AT_ONCE]
                np.maximum(found, _ious(some, size, ratios, stride), out=found)
    return best


def _ious(boxes: NDArray[np.float64], size: float, ratios: Sequence[float], stride: int) -> NDArray[np.float64]:
    """Compute the largest IoU (N,) with the anchors of one size at the nearest place of the grid."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    shift_x, shift_y = np.abs(centre - np.round(centre / stride) * stride).T
    best = np.zeros(len(boxes))
    for ratio in ratios:
        anchor_width, anchor_height = 2 * np.round(size / ratio**0.5 / 2), 2 * np.round(size * ratio**0.5 / 2)
        common = _common(width, anchor_width, shift_x) * _common(height, anchor_height, shift_y)
        union = width * height + anchor_width * anchor_height - common
        np.maximum(best, np.divide(common, union, out=np.zeros_like(common), where=union > 0), out=best)
    return best


def _common(length: NDArray[np.float64], other: float, shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the overlap of intervals of these lengths whose centres are ``shift`` apart."""
    return np.clip(np.minimum(np.minimum(length, other), (length + other) / 2 - shift), 0, None)


def suggest_sizes(
    boxes: NDArray[np.float64],
    sizes: Sequence[Sequence[float]],
    ratios: Sequence[float],
    strides: Sequence[int],
    iou: float,
) -> list[list[float]]:
    """Suggest anchor sizes, as many per level as now, that fit more boxes; the ratios stay.

    Coordinate descent: one size after another takes the value that is best with all the others, larger than the one
    before it and smaller than the one behind, until none moves. Sizes that make no difference stay as they are.

    Args:
        boxes: (N, 4) xyxy in pixels of the network frame.
        sizes: present anchor sizes of each level, px.
        ratios: height / width.
        strides: grid spacing of each level, px.
        iou: a box fits from this IoU on.

    Returns:
        Anchor sizes of each level, px.
    """
    slots = [(stride, size) for level, stride in zip(sizes, strides, strict=True) for size in level]
    candidates = [_candidates(stride, size) for stride, size in slots]
    tables = [
        np.stack([_ious(boxes, size, ratios, stride) for size in options]).astype(np.float32)
        for (stride, _), options in zip(slots, candidates, strict=True)
    ]
    starts = [[size for _, size in slots], _quantiles(boxes, len(slots))]
    fitted = [_descend(tables, candidates, _nearest(candidates, start), iou) for start in starts]
    best = max(fitted, key=lambda choice: choice[0])[1]
    chosen = iter(options[c] for options, c in zip(candidates, best, strict=True))
    return [[next(chosen) for _ in level] for level in sizes]


def shifted(boxes: NDArray[np.float64], stride: int, seed: int = 0) -> NDArray[np.float64]:
    """Move boxes to random places of the coarsest grid, repeating them where they are few.

    The place of an object on the grid is chance, and augmentation moves it: sizes must not be fitted to it.

    Args:
        boxes: (N, 4) xyxy in pixels of the network frame.
        stride: spacing of the coarsest grid, px.
        seed: of the places.

    Returns:
        (about MAX_BOXES, 4) xyxy.
    """
    random = np.random.default_rng(seed)
    some = random.permutation(boxes)[:MAX_BOXES]
    many = np.tile(some, (max(1, MAX_BOXES // len(some)), 1))
    corner = random.uniform(0, stride, (len(many), 2))
    return np.concatenate([corner, corner + many[:, 2:] - many[:, :2]], axis=1)


def _candidates(stride: int, current: float) -> list[float]:
    """List even sizes about a tenth apart, and the present size."""
    wanted = np.geomspace(SMALLEST * stride, LARGEST * stride, NUM_CANDIDATES)
    return sorted({current, *(float(2 * round(size / 2)) for size in wanted)})


def _nearest(candidates: Sequence[Sequence[float]], sizes: Sequence[float]) -> list[int]:
    """Choose for each slot the candidate nearest to the wanted size, if possible above the one before."""
    chosen: list[int] = []
    before = 0.0
    for options, size in zip(candidates, sizes, strict=True):
        larger = [c for c in options if c > before] or [options[-1]]
        best = min(larger, key=lambda c: abs(np.log(c / size)))
        chosen.append(options.index(best))
        before = best
    return chosen


def _quantiles(boxes: NDArray[np.float64], count: int) -> list[float]:
    sides = boxes[:, 2:] - boxes[:, :2]
    return [max(1.0, float(q)) for q in np.quantile(np.sqrt(sides.prod(axis=1)), (np.arange(count) + 0.5) / count)]


def _descend(
    tables: Sequence[NDArray[np.float32]], candidates: Sequence[Sequence[float]], start: Sequence[int], iou: float
) -> tuple[float, list[int]]:
    """Find a local optimum: its value and choice. ``tables`` holds the IoU (candidates, N) of each slot."""
    chosen = list(start)
    value = _value(np.max([t[c] for t, c in zip(tables, chosen, strict=True)], axis=0), iou)
    for _ in range(MAX_ROUNDS):
        before = list(chosen)
        for slot, table in enumerate(tables):
            others = [t[c] for s, (t, c) in enumerate(zip(tables, chosen, strict=True)) if s != slot]
            rest = np.max(others, axis=0) if others else np.zeros(table.shape[1])
            for option in _between(candidates, chosen, slot):
                gained = _value(np.maximum(rest, table[option]), iou)
                if gained > value + 1e-9:
                    value, chosen[slot] = gained, option
        if chosen == before:
            break
    return value, chosen


def _between(candidates: Sequence[Sequence[float]], chosen: Sequence[int], slot: int) -> list[int]:
    """List the options of a slot that lie between the sizes before and behind it."""
    sizes = [options[c] for options, c in zip(candidates, chosen, strict=True)]
    low = sizes[slot - 1] if slot else 0.0
    high = sizes[slot + 1] if slot + 1 < len(sizes) else np.inf
    return [option for option, size in enumerate(candidates[slot]) if low < size < high]


def _value(best: NDArray[np.floating], iou: float) -> float:
    """Add the fractions of boxes that fit and that nearly fit, and, to break ties, a little of the mean IoU.

    The second term keeps rare sizes from being given up for the most frequent one.
    """
    return float(np.mean(best >= iou) + np.mean(best >= iou - LEEWAY) + 0.1 * best.mean())
