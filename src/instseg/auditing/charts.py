"""Charts as self-contained SVG text, whose colours follow the page's light or dark style."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Floats
from instseg.core.channels import MAX_CELL, html_text
from instseg.core.text import cut

WIDTH, HEIGHT = 380, 190  # of a phone: shown in its own size, letters are read
LEFT, RIGHT, TOP, BOTTOM = 40, 6, 12, 36
INNER = WIDTH - LEFT - RIGHT
NUM_BINS = 18
MAX_BARS = 40
BAR_HEIGHT, BAR_GAP = 12, 8
COUNT_WIDTH = 50

Number = TypeVar("Number", np.int64, np.float64)
Fractions = Mapping[str, Floats]
"""Split -> (B,) the fraction of its values in each bin."""


def histogram(
    values: Mapping[str, NDArray[Number]], unit: str, *, marks: Sequence[float] = (), whole: bool = False
) -> str:
    """Draw each split's fractions in bins that grow by a constant factor; "" where there is no value.

    Args:
        values: split -> (N,) numbers.
        unit: of the numbers, for axis and tooltips.
        marks: values at which a line is drawn.
        whole: bins start at whole numbers, from 0.
    """
    present = {split: v for split, v in values.items() if len(v)}
    if not present:
        return ""
    edges = _whole_edges(present) if whole else _edges(present, marks)
    fractions = {split: np.histogram(v, edges)[0] / len(v) for split, v in present.items()}
    return _histogram(fractions, edges, unit, marks, whole)


def _histogram(fractions: Fractions, edges: Floats, unit: str, marks: Sequence[float], whole: bool) -> str:
    top = max(float(of_split.max()) for of_split in fractions.values())
    body = [_grid(top), *_bars(fractions, edges, top, unit), *_bin_labels(edges, whole), *_lines(marks, edges)]
    body.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end" class="unit">{html_text(unit)}</text>')
    return _svg(HEIGHT, body)


def _bars(fractions: Fractions, edges: Floats, top: float, unit: str) -> Iterator[str]:
    """Yield a bar for each split and bin, the splits of a bin side by side."""
    slot = INNER / (len(edges) - 1)
    width = (slot - 2) / len(fractions)
    for number, (split, of_split) in enumerate(fractions.items()):
        for b, value in enumerate(of_split):
            height = value / top * (HEIGHT - TOP - BOTTOM)
            x, y = LEFT + b * slot + 1 + number * width, HEIGHT - BOTTOM - height
            told = f"{split}: {value:.0%}, {_number(edges[b])} to {_number(edges[b + 1])} {unit}"
            yield _rect(x, y, width, height, split, told)


def _bin_labels(edges: Floats, whole: bool) -> Iterator[str]:
    """Yield about eight labels: of bins of whole numbers in their middle, of others at their edges."""
    num_bins = len(edges) - 1
    for b in range(0, num_bins + (not whole), -(-num_bins // 8)):
        x = LEFT + (b + 0.5 * whole) * INNER / num_bins
        label = _whole_label(edges, b) if whole else _number(edges[b])
        anchor = "end" if b == num_bins else "middle"
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="{anchor}">{label}</text>'


def _lines(marks: Sequence[float], edges: Floats) -> Iterator[str]:
    for mark in marks:
        x = LEFT + INNER * np.log(mark / edges[0]) / np.log(edges[-1] / edges[0])
        yield f'<path class="mark" d="M{x:.1f} {TOP} V{HEIGHT - BOTTOM}"><title>{mark:g} px</title></path>'


def _edges(values: Mapping[str, NDArray[Number]], marks: Sequence[float]) -> Floats:
    low = max(1.0, min([*(float(v.min()) for v in values.values()), *marks]))
    high = max([*(float(v.max()) for v in values.values()), *marks])
    if high < 1.5 * low:  # where all are about the same size, they stand in the middle
        low, high = low / 1.3, high * 1.3
    edges = np.geomspace(low, high, NUM_BINS + 1)
    edges[-1] *= 1.001  # or rounding puts the largest out of it
    return edges


def _whole_edges(values: Mapping[str, NDArray[Number]]) -> Floats:
    high = max(int(v.max()) for v in values.values())
    if high < NUM_BINS:
        return np.arange(high + 2, dtype=np.float64)
    grown = np.unique(np.round(np.geomspace(1, high + 1, NUM_BINS)))
    return np.concatenate([[0.0], grown])


def _whole_label(edges: Floats, b: int) -> str:
    low, high = int(edges[b]), int(edges[b + 1]) - 1
    return str(low) if low == high else f"{low}–{high}"


def category_bars(names: Sequence[str], counts: Mapping[str, NDArray[np.int64]]) -> str:
    """Draw a horizontal bar per split for the most frequent categories; all bars are to one scale, of counts.

    Args:
        names: of all C categories.
        counts: split -> (C,) instances.
    """
    total = np.sum(list(counts.values()), axis=0) if counts else np.zeros(len(names))
    order = np.argsort(-total, kind="stable")[:MAX_BARS]
    fractions = {split: c / max(1, c.sum()) for split, c in counts.items()}
    top = max((int(c.max(initial=0)) for c in counts.values()), default=0) or 1
    shown = [cut(name, MAX_CELL) for name in names]
    left = min(140, 14 + 7 * max((len(shown[c]) for c in order.tolist()), default=0))
    row = BAR_HEIGHT * len(counts) + BAR_GAP
    body = []
    for position, c in enumerate(order.tolist()):
        y = TOP + position * row
        name = html_text(shown[c], (left - 8) // 7)
        body.append(f'<text x="{left - 6}" y="{y + row / 2:.1f}" text-anchor="end">{name}</text>')
        for number, (split, fraction) in enumerate(fractions.items()):
            width = int(counts[split][c]) / top * (WIDTH - left - COUNT_WIDTH)
            told = f"{shown[c]}, {split}: {counts[split][c]:,} ({fraction[c]:.1%})"
            body.append(_rect(left, y + number * BAR_HEIGHT, max(width, 0.5), BAR_HEIGHT - 1, split, told))
            text = f'<text x="{left + width + 5:.1f}" y="{y + number * BAR_HEIGHT + 9:.1f}" class="small">'
            body.append(f"{text}{counts[split][c]:,}</text>")
    return _svg(2 * TOP + len(order) * row, body)


def legend(splits: Sequence[str]) -> str:
    """Write the key of the colours."""
    return "".join(f'<span class="key {_class(split)}"></span>{html_text(split)} ' for split in splits)


def _grid(top: float) -> str:
    lines = []
    for fraction in (0.0, top / 2, top):
        y = HEIGHT - BOTTOM - fraction / top * (HEIGHT - TOP - BOTTOM)
        lines.append(f'<path class="grid" d="M{LEFT} {y:.1f} H{WIDTH - RIGHT}"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{fraction:.0%}</text>')
    return "".join(lines)


def _rect(x: float, y: float, width: float, height: float, split: str, told: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} class="{_class(split)}"><title>{html_text(told)}</title></rect>'


def _class(split: str) -> str:
    return split if split in ("train", "val", "test") else "other"


def _svg(height: float, body: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img">{"".join(body)}</svg>'


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
