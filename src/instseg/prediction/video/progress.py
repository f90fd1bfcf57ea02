"""The progress of a run on a video: frames, frames per second, time that is left."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class FrameProgress:
    """A context that shows a bar.

    Args:
        console: to print on.
        total: frames; None: not known.
        num_earlier: frames that are predicted already; they count for the bar, not for the speed.
    """

    def __init__(self, console: Console, total: int | None, num_earlier: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        speed = TextColumn("{task.fields[speed]}")
        self._bar = Progress(*columns, speed, TimeElapsedColumn(), TimeRemainingColumn(), console=console)
        self._task = self._bar.add_task("frames", total=total, speed="")
        self._num_earlier, self._start = num_earlier, 0.0
        self.num_predicted = 0
        self.seconds = 0.0
        """That these took."""

    def __enter__(self) -> FrameProgress:
        self._bar.start()
        self._start = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def add(self, done: int) -> None:
        """Show that one more of the frames is done; ``done`` of them are."""
        if done <= self._num_earlier:
            self._start = time.monotonic()
            self._bar.update(self._task, completed=done, speed="drawn again")
            return
        self.num_predicted, self.seconds = done - self._num_earlier, time.monotonic() - self._start
        speed = f"{self.num_predicted / max(self.seconds, 1e-9):.3g} frames/s"
        self._bar.update(self._task, completed=done, speed=speed)
