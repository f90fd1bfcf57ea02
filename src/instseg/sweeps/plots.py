"""The metric against each swept value, one panel for each, as a PNG; drawn without matplotlib's global state."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypedDict

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from instseg.core.channels import MAX_LABEL, plot_label
from instseg.core.text import plural
from instseg.sweeps.ranking import MAX_NUMBER, Row, decimals, short
from instseg.sweeps.records import DONE, FAILED, PRUNED, SweepInfo
from instseg.visualization.curves import drawable, write_png

LOG_FROM = 20.0
"""An axis is logarithmic where the largest value is at least this many times the smallest."""
MAX_LINES = 8
"""Up to this many combinations of the other values have a colour each."""
MAX_TICKS = 6
"""Up to this many numbers have a tick each."""
MAX_NAME, MAX_LETTERS = 22, 48
"""Letters of one name below an axis, and of all names in a line before they are turned."""
DEGREES = 30
"""By which long names are turned."""
NAMES = ("fold", "seed")
"""Keys whose values are written as numbers, and are names."""
COLUMNS = 3
MAX_PANELS = 12
"""Keys that have a panel, the first; drawing takes a second each."""
BAND = 0.09
"""Fraction of a panel's height, at its bottom, for jobs that failed."""
FAILED_COLOUR, PLAIN_COLOUR, BEST_COLOUR, PRUNED_COLOUR = "#c0392b", "#34679a", "#e69f00", "0.5"


class Style(TypedDict, total=False):
    """Keywords of matplotlib's ``Line2D`` that are used here."""

    color: str
    label: str | None
    linewidth: float  # points
    alpha: float  # 0 to 1
    marker: str
    markersize: float  # points
    markeredgecolor: str
    markeredgewidth: float  # points
    fillstyle: Literal["none"]


MARKS: dict[str, Style] = {
    "done": {"marker": "o", "color": PLAIN_COLOUR, "markersize": 6},
    "best": {"marker": "*", "color": BEST_COLOUR, "markersize": 16, "markeredgecolor": "black", "markeredgewidth": 0.6},
    "given up early, at its last value": {"marker": "o", "color": PRUNED_COLOUR, "fillstyle": "none", "markersize": 6},
    "failed, without a value": {"marker": "X", "color": FAILED_COLOUR, "markersize": 8, "markeredgewidth": 0},
}
DONE_MARK, BEST_MARK, PRUNED_MARK, FAILED_MARK = MARKS


def plot_values(rows: Sequence[Row], info: SweepInfo, path: Path) -> None:
    """Draw numbers on an axis, names side by side, and jobs that failed in a band below.

    Args:
        rows: of the leaderboard.
        info: names the swept keys and the metric.
        path: of the PNG, which is written atomically.
    """
    rows = [replace(row, record=msgspec.structs.replace(row.record, metric=_drawn(row))) for row in rows]
    keys = [key for key in info.values if len({row.record.values.get(key) for row in rows}) > 1] or info.values[:1]
    keys = keys[:MAX_PANELS]
    columns = min(COLUMNS, max(1, len(keys)))
    lines = max(1, math.ceil(len(keys) / columns))
    figure = Figure(figsize=(5.2 * columns + 1.6, 4.0 * lines + 1.0), dpi=120, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
    _make_room(axes[0, 0], rows)
    for axis, key in zip(axes.flat, keys, strict=False):
        _draw_panel(axis, key, rows)
    for axis in list(axes.flat)[len(keys) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel(f"{plot_label(info.metric)} ({'higher' if info.mode == 'max' else 'lower'} is better)")
    figure.suptitle(_title(rows, info), fontsize=11)
    figure.legend(handles=_legend(rows), loc="outside lower center", ncols=len(MARKS), fontsize=9, frameon=False)
    write_png(figure, path)


def _drawn(row: Row) -> float | None:
    """Return the metric of a job; None where it has none that can be drawn."""
    return None if row.metric is None or math.isnan(drawable(row.metric)) else row.metric


def _make_room(axis: Axes, rows: Sequence[Row]) -> None:
    """Set the height of all panels: the metrics, and below them the band of jobs without one."""
    values = [row.metric for row in rows if row.metric is not None] or [0.0, 1.0]
    height = max(values) - min(values) or 0.1
    has_failed = any(row.record.state == FAILED for row in rows)
    axis.set_ylim(min(values) - height * (0.06 + 1.4 * BAND * has_failed), max(values) + 0.1 * height)


def _title(rows: Sequence[Row], info: SweepInfo) -> str:
    best = next((row for row in rows if row.rank == 1), None)
    if best is None or best.metric is None:
        return f"{sum(row.record.state == DONE for row in rows)} of {plural(len(rows), 'job')} done"
    values = ", ".join(f"{key}={short(value)}" for key, value in best.record.values.items())
    return f"best of {plural(len(rows), 'job')}: {info.metric} {decimals(best.metric)} with {values}"


def _legend(rows: Sequence[Row]) -> list[Line2D]:
    """Return a legend of the marks that are drawn."""
    states = {row.record.state for row in rows}
    there = {DONE_MARK: DONE in states, BEST_MARK: any(row.rank == 1 for row in rows)}
    there |= {PRUNED_MARK: PRUNED in states, FAILED_MARK: FAILED in states}
    return [Line2D([], [], linestyle="", label=name, **style) for name, style in MARKS.items() if there[name]]


def _draw_panel(axis: Axes, key: str, rows: Sequence[Row]) -> None:
    rows = sorted((row for row in rows if key in row.record.values), key=lambda row: row.record.number)
    places = _places(axis, key, rows)
    done = [row for row in rows if row.metric is not None and row.record.state == DONE]
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in done:
        groups[_others(row, key)].append(row)
    num_values = len({row.record.values[key] for row in done})
    is_grid = num_values > 1 and len(groups) <= MAX_LINES and num_values * len(groups) <= 1.5 * len(done)
    for number, (name, group) in enumerate(groups.items() if is_grid else [("", done)]):
        style: Style = {"color": f"C{number}", "label": plot_label(name, MAX_LABEL) or None} if is_grid else {}
        _draw_points(axis, [(places[r.record.values[key]], r.metric or 0.0) for r in group], key, group, style)
    _draw_others(axis, key, rows, places)
    axis.set_xlabel(plot_label(key))
    axis.grid(alpha=0.3)
    if is_grid and len(groups) > 1:
        axis.legend(fontsize=8, framealpha=0.85, loc="best")


def _draw_points(axis: Axes, points: list[tuple[float, float]], key: str, rows: Sequence[Row], style: Style) -> None:
    """Draw points, joined by lines on an axis of numbers where a colour is one combination of the other values."""
    are_numbers = all(_number(key, row.record.values[key]) is not None for row in rows)
    line: Style = {"linewidth": 1.4, "alpha": 0.85}
    if points:
        x, y = zip(*sorted(points), strict=True)
        combined: Style = {**MARKS[DONE_MARK], **line, **style}
        axis.plot(x, y, linestyle="-" if style and are_numbers else "", **combined)


def _draw_others(axis: Axes, key: str, rows: Sequence[Row], places: Mapping[str, float]) -> None:
    """Draw the jobs that were pruned, those that failed, and on top the best."""
    for row in rows:
        value, metric = row.record.values[key], row.metric
        if row.record.state == PRUNED and metric is not None:
            axis.plot(places[value], metric, **MARKS[PRUNED_MARK])
        if row.rank == 1 and metric is not None:
            axis.plot(places[value], metric, zorder=5, **MARKS[BEST_MARK])
    failed = {row.record.values[key] for row in rows if row.record.state == FAILED}
    for value in failed:
        axis.plot(places[value], BAND / 2, transform=axis.get_xaxis_transform(), **MARKS[FAILED_MARK])
        if (number := _number(key, value)) is not None and number != places[value]:
            at, above = (places[value], BAND), axis.get_xaxis_transform()
            axis.annotate(
                plot_label(short(value)), at, xycoords=above, ha="center", va="bottom", fontsize=8, color=FAILED_COLOUR
            )
    if failed:
        band = Rectangle((0, 0), 1, BAND, transform=axis.transAxes, color=FAILED_COLOUR, alpha=0.08, linewidth=0)
        axis.add_patch(band)


def _others(row: Row, key: str) -> str:
    return ", ".join(f"{k.rpartition('.')[2]}={short(v)}" for k, v in row.record.values.items() if k != key)


def _places(axis: Axes, key: str, rows: Sequence[Row]) -> dict[str, float]:
    """Return the place of each value on the axis, which is set up for the values with a metric.

    A number far from all of these, such as a learning rate at which everything diverged, stands near the edge.
    """
    values = list(dict.fromkeys(row.record.values[key] for row in rows))
    numbers = {value: number for value in values if (number := _number(key, value)) is not None}
    if len(numbers) < len(values) or not numbers:
        names = [_cut(name) for name in values]
        axis.set_xticks(range(len(values)), names, fontsize=9)
        if len("".join(names)) > MAX_LETTERS:
            axis.set_xticks(range(len(values)), names, rotation=DEGREES, ha="right", rotation_mode="anchor")
        axis.set_xlim(-0.5, len(values) - 0.5)
        return {name: float(place) for place, name in enumerate(values)}
    measured = {numbers[row.record.values[key]] for row in rows if row.metric is not None}
    low, high = _set_up(axis, sorted(measured or numbers.values()))
    return {value: min(max(number, low), high) for value, number in numbers.items()}


def _set_up(axis: Axes, numbers: Sequence[float]) -> tuple[float, float]:
    """Set scale, limits and ticks for ascending numbers, and return the ends between which all others are drawn."""
    low, high = numbers[0], numbers[-1]
    if low > 0 and high / low >= LOG_FROM:
        axis.set_xscale("log")
        step = (high / low) ** 0.08
        axis.set_xlim(low / step**2, high * step**2)
        ends = low / step, high * step
    else:
        step = 0.08 * (high - low) or 0.25 * abs(high) or 0.5
        axis.set_xlim(low - 2 * step, high + 2 * step)
        ends = low - step, high + step
    if len(numbers) <= MAX_TICKS:
        axis.set_xticks(numbers, [f"{number:.4g}" for number in numbers])
        axis.set_xticks([], minor=True)
    return ends


def _number(key: str, value: str) -> float | None:
    if key.rpartition(".")[2] in NAMES:
        return None
    try:
        number = float(value[:MAX_NUMBER])
    except ValueError:
        return None
    return None if math.isnan(drawable(number)) else number


def _cut(name: str) -> str:
    text = short(name)
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"
