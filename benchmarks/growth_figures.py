"""The curves of ``growth.py`` as small multiples: a row for each stage, a column for each thing that grows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from growth_points import NEGLIGIBLE, Curve
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

COLUMNS = ("images", "instances", "side", "categories")
TIME, MEMORY, EXPECTED = "#1f5fa8", "#d9822b", "#8a8a8a"
PANEL_INCHES, DPI, FONT = (2.5, 1.55), 100, 8
LOWEST = 1 / 128  # of the cost at the largest size


def draw(curves: Sequence[Curve], title: str, path: Path) -> None:
    """Costs are shares of that at the largest size, which is written into the panel; what is negligible is left out."""
    names = list(dict.fromkeys(curve.stage for curve in curves))
    size = (PANEL_INCHES[0] * len(COLUMNS) + 0.6, PANEL_INCHES[1] * len(names) + 0.9)
    sheet = Figure(figsize=size, dpi=DPI, layout="constrained")
    panels = sheet.subplots(len(names), len(COLUMNS), squeeze=False)
    for axes in panels.flat:
        axes.set_visible(False)
    for curve in curves:
        column = COLUMNS.index(curve.grows) if curve.grows in COLUMNS else 0
        _draw_curve(panels[names.index(curve.stage), column], curve)
    for name, row in zip(names, panels, strict=True):
        first = next(axes for axes in row if axes.get_visible())
        first.set_ylabel(name, fontsize=FONT + 1)
    sheet.suptitle(f"{title}: share of the cost at the largest size", fontsize=12, x=0.01, ha="left")
    sheet.legend(handles=_legend(), loc="outside lower left", ncols=4, frameon=False, fontsize=FONT + 1)
    sheet.savefig(path)


def _draw_curve(axes: Axes, curve: Curve) -> None:
    axes.set_visible(True)
    sizes = np.array(curve.sizes)
    for order in {curve.time_order, curve.memory_order}:
        axes.plot(sizes, (sizes / sizes[-1]) ** order, "--", color=EXPECTED, linewidth=1)
    for values, colour, unit, height in ((curve.seconds, TIME, "s", 0.19), (curve.megabytes, MEMORY, "MB", 0.05)):
        label = _told(values[-1], unit)
        if curve.order(values, unit) is None:
            label = f"below {_told(NEGLIGIBLE[unit], unit)}"
        else:
            axes.plot(sizes, np.maximum(values, LOWEST * values[-1]) / values[-1], "o-", color=colour, markersize=3)
        axes.text(0.97, height, label, color=colour, fontsize=FONT, ha="right", transform=axes.transAxes)
    _set_axes(axes, curve)


def _set_axes(axes: Axes, curve: Curve) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(LOWEST, 1.8)
    axes.set_xticks(curve.sizes, [_short(size) for size in curve.sizes])
    axes.set_yticks([0.01, 0.1, 1], ["1 %", "10 %", "100 %"])
    axes.tick_params(labelsize=FONT - 1, length=2)
    axes.minorticks_off()
    axes.set_xlabel(curve.axis, fontsize=FONT, labelpad=1)
    axes.spines[["top", "right"]].set_visible(False)


def _told(value: float, unit: str) -> str:
    if unit == "s" and value < 1:
        return f"{1000 * value:.0f} ms"
    return f"{value:.1f} {unit}" if value < 8 else f"{value:.0f} {unit}"


def _short(size: float) -> str:
    return f"{size / 1e6:.1f}M" if size >= 1e6 else f"{size / 1e3:.0f}k" if size >= 1e4 else f"{size:.0f}"


def _legend() -> list[Line2D]:
    lines = [Line2D([], [], color=TIME, marker="o", markersize=3, label="time")]
    lines.append(Line2D([], [], color=MEMORY, marker="o", markersize=3, label="peak memory"))
    expected = "expected order (a curve above its line grows more slowly)"
    return [*lines, Line2D([], [], color=EXPECTED, linestyle="--", label=expected)]
