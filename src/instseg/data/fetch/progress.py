"""How far a download is: a bar on a terminal, a line in the log now and then where there is none."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

LOG_SECONDS = 30.0  # how often a run without a terminal says how far it is

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def show_progress(title: str, num_files: int) -> Iterator[Callable[[int, float, int], None]]:
    """A function (files done, files' worth under way, bytes) that draws a bar on a terminal, else logs at times."""
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

        def show(num_done: int, under_way: float, num_bytes: int) -> None:
            nonlocal logged
            now = time.monotonic()
            megabytes = num_bytes / 1e6
            detail = (
                f"{num_done}/{num_files} files, {megabytes:.1f} MB, {megabytes / max(now - started, 1e-3):.1f} MB/s"
            )
            bar.update(task, completed=num_done + under_way, detail=detail)
            if bar.disable and now - logged >= LOG_SECONDS:
                logged = now
                logger.info("%s: %s", title, detail)

        yield show
