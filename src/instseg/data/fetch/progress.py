"""Progress of a download: a bar on a terminal, otherwise regular lines in the log."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

LOG_SECONDS = 30.0  # interval of the log lines without a terminal

log = logging.getLogger(__name__)


@contextlib.contextmanager
def show_progress(title: str, num_files: int) -> Iterator[Callable[[int, float, int], None]]:
    """Yield a function (files done, sum of the fractions in progress, bytes) that updates the bar or logs regularly.

    Args:
        title: of the bar.
        num_files: in total.
    """
    console = Console(stderr=True)
    started = logged = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=False) as bar:
        task = bar.add_task(title, total=num_files, detail="")

        def show(num_done: int, in_progress: float, num_bytes: int) -> None:
            nonlocal logged
            now = time.monotonic()
            megabytes = num_bytes / 1e6
            detail = (
                f"{num_done}/{num_files} files, {megabytes:.1f} MB, {megabytes / max(now - started, 1e-3):.1f} MB/s"
            )
            bar.update(task, completed=num_done + in_progress, detail=detail)
            if bar.disable and now - logged >= LOG_SECONDS:
                logged = now
                log.info("%s: %s", title, detail)

        yield show
