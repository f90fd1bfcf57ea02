"""Training curves as one page, drawn without matplotlib's global state: safe in threads and notebooks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from instseg.core.atomic import replacing
from instseg.core.channels import plot_label

Row = Mapping[str, float]
"""Logged name -> value of one validation, with its ``epoch``."""

LOSSES = {"train/loss": "train", "val/loss": "val"}
PRECISIONS = {
    "val/segm_map": "mask AP", "val/segm_map_50": "mask AP50", "val/segm_map_75": "mask AP75", "val/bbox_map": "box AP",
}  # fmt: skip
OF_CATEGORY, OF_LOSS = "val/segm_map/", "val/loss_"
MAX_CURVES = 10
"""More in one panel cannot be told apart; the title says how many were left out."""
MARKED_UP_TO = 30
"""Validations up to which each is a dot: a single point has no line to be seen by."""


MAX_DRAWN = 1e30
"""Numbers beyond are not drawn: matplotlib cannot scale an axis to them."""


def drawable(value: float) -> float:
    """Return a value that can be drawn; NaN, which leaves a gap, for one that cannot."""
    return value if abs(value) <= MAX_DRAWN else math.nan


def plot_curves(rows: Sequence[Row], path: Path) -> None:
    """Plot loss, AP, AP of each category and learning rate over the epochs, in four panels on one page.

    Args:
        rows: of the history; a value that is missing or not finite leaves a gap.
        path: the PNG, written atomically.
    """
    figure = Figure(figsize=(13, 8), dpi=100)
    figure.subplots_adjust(left=0.05, right=0.98, bottom=0.07, top=0.95, wspace=0.12, hspace=0.25)  # no layout to find
    panels = {
        "loss": LOSSES,
        "average precision on val": PRECISIONS,
        **_third_panel(rows),
        "learning rate": {"lr": "learning rate"},
    }
    for axis, (title, names) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        _draw_panel(axis, title, names, rows)
    write_png(figure, path)


def write_png(figure: Figure, path: Path) -> None:
    """Write a figure atomically, with a renderer of its own instead of pyplot's: safe in threads and notebooks.

    Args:
        figure: what to write.
        path: the PNG.
    """
    FigureCanvasAgg(figure)
    with replacing(path) as scratch:
        figure.savefig(scratch, format="png")


def _third_panel(rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Return the panel of AP by category; of the parts of the loss where there is one category."""
    names = sorted({name for row in rows for name in row})
    categories = {name: name.removeprefix(OF_CATEGORY) for name in names if name.startswith(OF_CATEGORY)}
    if len(categories) > 1:
        return {"mask AP of each category on val": categories}
    return {"parts of the loss on val": {n: n.removeprefix(OF_LOSS) for n in names if n.startswith(OF_LOSS)}}


def _draw_panel(axis: Axes, title: str, names: Mapping[str, str], rows: Sequence[Row]) -> None:
    left_out = len(names) - MAX_CURVES
    axis.set_title(title if left_out <= 0 else f"{title} (the first {MAX_CURVES} of {len(names)})", loc="left")
    marker = "o" if len(rows) <= MARKED_UP_TO else None
    for name, label in list(names.items())[:MAX_CURVES]:
        values = [drawable(row.get(name, math.nan)) for row in rows]
        axis.plot(
            [row["epoch"] for row in rows],
            values,
            label=plot_label(label),
            marker=marker,
            markersize=3.5,
            linewidth=1.6,
        )
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)
    axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))
    if len(names) > 1:
        axis.legend(fontsize=9, frameon=False)
