"""Training curves as one PNG, drawn without matplotlib's global state: safe in threads and notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from instseg.core.atomic import replacing

Curve = tuple[Sequence[int], Sequence[float]]
"""Steps and values, equally many."""

NOT_DRAWN = ("epoch", "num_images", "num_instances", "matched_instances")  # counts, not measures
MAX_CURVES = 16
"""More in one panel cannot be told apart; the title says how many were left out."""
PANELS = ("train loss", "val loss", "AP", "AP by size", "average recall", "mask AP per category", "box AP per category")
"""From the top; what is not listed follows by name."""
SMOOTH_FROM = 60
"""Curves with more points are drawn faintly, with their moving average on top."""


def plot_curves(scalars: Mapping[str, Curve], path: Path) -> None:
    """Plot losses, AP, AP per category, learning rate and the rest in a panel each; empty panels are left out.

    Args:
        scalars: logged name -> steps and values; values that are not finite leave a gap.
        path: the PNG, written atomically.
    """
    panels = _panels(scalars)
    figure = Figure(figsize=(11, max(1, len(panels)) * 3.6), dpi=110, layout="constrained")
    axes = figure.subplots(max(1, len(panels)), 1, squeeze=False)[:, 0]
    if not panels:
        axes[0].set_title("nothing was logged")
    for axis, (title, names) in zip(axes, panels.items(), strict=False):
        _draw_panel(axis, title, {name: scalars[name] for name in names})
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


def _panels(scalars: Mapping[str, Curve]) -> dict[str, list[str]]:
    panels: dict[str, list[str]] = {}
    for name in sorted(scalars):
        if name.rpartition("/")[2] not in NOT_DRAWN and len(scalars[name][0]):
            panels.setdefault(_panel_of(name), []).append(name)
    return {title: panels[title] for title in [*PANELS, *sorted(panels.keys() - set(PANELS))] if title in panels}


def _panel_of(name: str) -> str:
    """Return the panel of a logged name such as train/loss_mask, val/segm_map/car, lr or images_per_second."""
    parts = name.split("/")
    measure = parts[1] if len(parts) > 1 else name
    if measure.startswith("loss"):
        return f"{parts[0]} loss"
    if len(parts) > 2 and measure in ("segm_map", "bbox_map"):
        return f"{'mask' if measure == 'segm_map' else 'box'} AP per category"
    if "_mar_" in measure:
        return "average recall"
    if measure.endswith(("_small", "_medium", "_large")):
        return "AP by size"
    if "_map" in measure or measure.endswith("_iou"):
        return "AP"
    return "learning rate" if name.startswith("lr") else name


def _draw_panel(axis: Axes, title: str, curves: Mapping[str, Curve]) -> None:
    left_out = len(curves) - MAX_CURVES
    axis.set_title(title if left_out <= 0 else f"{title} (the first {MAX_CURVES} of {len(curves)})", loc="left")
    for number, (name, (steps, values)) in enumerate(list(curves.items())[:MAX_CURVES]):
        style = f"C{number % 10}", "-" if number < 10 else "--"
        _draw_curve(axis, name, np.asarray(steps), np.asarray(values, float), *style, smooth=title != "learning rate")
    axis.set_xlabel("step")
    axis.grid(alpha=0.3)
    axis.margins(x=0.02)
    axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9, frameon=False)


def _draw_curve(
    axis: Axes, name: str, steps: NDArray[np.int64], values: NDArray[np.float64], colour: str, style: str, smooth: bool
) -> None:
    values = np.where(np.isfinite(values), values, np.nan)
    if len(values) < SMOOTH_FROM or not smooth:
        marker = "o" if len(values) < 30 else None  # a single point has no line to be seen by
        axis.plot(steps, values, style, color=colour, label=name, marker=marker, markersize=3.5, linewidth=1.6)
        return
    axis.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
    axis.plot(steps, _moving_average(values, len(values) // 30), style, color=colour, label=name, linewidth=1.6)


def _moving_average(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Average over the finite values in a centred window, shorter at the ends; NaN where there are none."""
    known = np.isfinite(values)
    kernel = np.ones(2 * (window // 2) + 1)
    total = np.convolve(np.where(known, values, 0.0), kernel, mode="same")
    count = np.convolve(known.astype(float), kernel, mode="same")
    average: NDArray[np.float64] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return average
