"""Chart of differences as SVG text: a dot and its 95 % interval in each row, around a line at 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from instseg.core.channels import html_text
from instseg.evaluation.estimates import Estimate
from instseg.evaluation.paired import is_clear

WIDTH, ROW_PX = 460, 24
LEFT, RIGHT = 150, 70
MIN_SCALE = 0.02
"""Of the axis, so that nothing looks large that is not."""


@dataclass(frozen=True, slots=True)
class Row:
    """A difference under its name."""

    name: str
    difference: Estimate


def difference_chart(rows: Sequence[Row]) -> str:
    """Draw differences to one scale, symmetric around 0.

    Args:
        rows: from top to bottom; one that is undefined has a dash.
    """
    known = [one.difference for one in rows if not math.isnan(one.difference.value)]
    ends = [abs(end) for one in known for end in (one.value, one.low, one.high) if not math.isnan(end)]
    scale = (WIDTH - LEFT - RIGHT) / 2 / max([MIN_SCALE, *ends])
    height = ROW_PX * len(rows) + 8
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    body = "".join(_row(one, place * ROW_PX + 16, middle, scale) for place, one in enumerate(rows))
    zero = f'<path class="ideal" d="M{middle:.1f} 2 V{height - 2}"/>'
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img">{zero}{body}</svg>'


def signed(value: float) -> str:
    """Return a difference with its sign and three digits."""
    return f"{value:+.3f}".replace("-", "−")


def _row(row: Row, y: int, middle: float, scale: float) -> str:
    name = f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{html_text(row.name, 22)}</text>'
    one = row.difference
    if math.isnan(one.value):
        return f'{name}<text x="{WIDTH - RIGHT + 8}" y="{y + 4}">–</text>'
    kind = ("better" if one.value > 0 else "worse") if is_clear(one) else "chance"
    line = ""
    if not math.isnan(one.low):
        line = f'<path class="range" d="M{middle + one.low * scale:.1f} {y} H{middle + one.high * scale:.1f}"/>'
    dot = f'<circle class="{kind}" cx="{middle + one.value * scale:.1f}" cy="{y}" r="4.5"/>'
    return f'{name}{line}{dot}<text x="{WIDTH - RIGHT + 8}" y="{y + 4}">{signed(one.value)}</text>'
