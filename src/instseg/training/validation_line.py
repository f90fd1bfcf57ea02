"""One validation as a line of a table that fits a terminal of 80 columns."""

from __future__ import annotations

import math

from instseg.core.text import duration

Row = dict[str, float]
"""Logged name -> value of one validation."""

HEADER = "  epoch   loss val loss mask AP   AP50   best  img/s elapsed    left"
HEADER_EVERY = 20
"""Lines between two headers: one is always in sight."""


def validation_line(row: Row, all_epochs: float, best: float | None, is_best: bool, seconds_left: float) -> str:
    """Return the line, in the columns of ``HEADER``.

    Args:
        row: of the history.
        all_epochs: number of epochs of the whole training; infinite where it is not known.
        best: value of the monitored metric that is the best so far.
        is_best: marks it with a star: it is that of this validation.
        seconds_left: of the training; NaN where it is not known.
    """
    of_all = f"/{math.ceil(all_epochs)}" if math.isfinite(all_epochs) else ""
    cells = (
        (f"{row['epoch']:.3g}{of_all}" if row["epoch"] < 1000 else f"{row['epoch']:.0f}{of_all}", 7),
        (_number(row.get("train/loss")), 7),
        (_number(row.get("val/loss")), 9),
        (_number(row.get("val/segm_map")), 8),
        (_number(row.get("val/segm_map_50")), 7),
        (_number(best) + ("*" if is_best else " "), 7),
        (_number(row.get("images_per_second"), digits=1), 7),
        (duration(row["elapsed_seconds"]), 8),
        (duration(seconds_left), 8),
    )
    return "".join(text.rjust(width) for text, width in cells)


def _number(value: float | None, digits: int = 3) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.3g}"
