"""Charts as SVG text, of curves over the unit square and of bars, in the light or dark style of their page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.channels import html_text

WIDTH, HEIGHT = 360, 250  # of a phone: shown in its own size, letters are read
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 10, 36
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
BAR_PX, BAR_LEFT, BAR_RIGHT = 26, 150, 90
MAX_POINTS = 200
"""Points of a drawn curve."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve whose x and y are fractions."""

    name: str
    x: NDArray[np.float64]  # (P,)
    y: NDArray[np.float64]  # (P,)
    colour: tuple[int, int, int] | None = None
    """RGB; None for the one that all others are compared with."""
    mark: float | None = None
    """The x of a dot on the curve, whose x ascend; on a step it is on the left of it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar, with its 95 % interval where it is known."""

    name: str
    value: float
    text: str
    interval: tuple[float, float] | None = None


def line_chart(curves: Sequence[Curve], x_title: str, y_title: str, *, with_diagonal: bool = False) -> str:
    """Draw curves over the unit square.

    Args:
        curves: in the order in which they are drawn.
        x_title: below the axis.
        y_title: above it.
        with_diagonal: draw y = x.
    """
    body = [_axes(x_title, y_title)]
    if with_diagonal:
        body.append(f'<path class="ideal" d="M{_x(0)} {_y(0)} L{_x(1)} {_y(1)}"/>')
    for curve in curves:
        body.append(_curve(curve))
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(body)}</svg>'


def bar_chart(bars: Sequence[Bar]) -> str:
    """Draw horizontal bars to one scale, each with its text and interval."""
    top = max([1e-9, *(max(bar.value, bar.interval[1] if bar.interval else 0.0) for bar in bars)])
    scale = (WIDTH - BAR_LEFT - BAR_RIGHT) / top
    body = []
    for row, bar in enumerate(bars):
        y = 4 + row * BAR_PX
        name = f'<text x="{BAR_LEFT - 8}" y="{y + 13}" text-anchor="end">{html_text(bar.name)}</text>'
        width = max(0.0, bar.value) * scale
        end = width
        line = ""
        if bar.interval is not None:
            low, high = (BAR_LEFT + max(0.0, bound) * scale for bound in bar.interval)
            line = f'<path class="range" d="M{low:.1f} {y + 9} H{high:.1f}"/>'
            end = max(width, high - BAR_LEFT)
        body.append(f'{name}<rect class="bar" x="{BAR_LEFT}" y="{y}" width="{width:.1f}" height="18" rx="2"/>{line}')
        body.append(f'<text x="{BAR_LEFT + end + 6:.1f}" y="{y + 13}">{html_text(bar.text)}</text>')
    height = 8 + BAR_PX * len(bars)
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img">{"".join(body)}</svg>'


def _axes(x_title: str, y_title: str) -> str:
    lines = []
    for tick in TICKS:
        lines.append(f'<path class="grid" d="M{LEFT} {_y(tick)} H{WIDTH - RIGHT}"/>')
        lines.append(f'<path class="grid" d="M{_x(tick)} {TOP} V{HEIGHT - BOTTOM}"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{_y(tick) + 4}" text-anchor="end">{tick:g}</text>')
        anchor = "end" if tick == 1 else "middle"
        lines.append(f'<text x="{_x(tick)}" y="{HEIGHT - BOTTOM + 14}" text-anchor="{anchor}">{tick:g}</text>')
    x_place = f'x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end"'
    y_place = f'transform="translate(10 {(HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle"'
    return f"{''.join(lines)}<text {x_place}>{html_text(x_title)}</text><text {y_place}>{html_text(y_title)}</text>"


def _curve(curve: Curve) -> str:
    x, y = curve.x, curve.y
    if len(x) > MAX_POINTS:
        kept = np.unique(np.linspace(0, len(x) - 1, MAX_POINTS).round().astype(np.int64))
        x, y = x[kept], y[kept]
    if not len(x):
        return ""
    points = " L".join(f"{_x(a)} {_y(b)}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    kind, style = ("curve main", "") if curve.colour is None else ("curve", f' style="stroke:rgb{curve.colour}"')
    title = f"<title>{html_text(curve.name)}</title>"
    drawn = f'<path class="{kind}"{style} d="M{points}">{title}</path>'
    if curve.mark is None:
        return drawn
    row = min(int(np.searchsorted(curve.x, curve.mark)), len(curve.y) - 1)
    height = float(curve.y[row])
    fill = "var(--ink)" if curve.colour is None else f"rgb{curve.colour}"
    return f'{drawn}<circle cx="{_x(curve.mark)}" cy="{_y(height)}" r="4" style="fill:{fill}">{title}</circle>'


def _x(value: float) -> str:
    return f"{LEFT + min(max(value, 0.0), 1.0) * (WIDTH - LEFT - RIGHT):.1f}"


def _y(value: float) -> float:
    return round(TOP + (1 - min(max(value, 0.0), 1.0)) * (HEIGHT - TOP - BOTTOM), 1)
