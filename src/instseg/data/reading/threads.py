"""Files that are read side by side: opening them on a network drive waits more than it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")
NUM_THREADS = 16
FEW = 8
"""Items that are done with one after the other sooner than threads have started for them."""
MIN_FOR_PROGRESS_BAR = 2000
READING = "Reading labels"


def map_in_threads(function: Callable[[Item], Result], items: Sequence[Item], what: str) -> Iterator[Result]:
    """Yield the result for each item in order, with a progress bar where there are many.

    Args:
        function: called with one item, in a thread unless there are few.
        items: in any form.
        what: title of the progress bar.
    """
    if len(items) <= FEW:
        yield from map(function, items)
        return
    hidden, console = len(items) < MIN_FOR_PROGRESS_BAR, Console(stderr=True)
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        results = pool.map(function, items)
        yield from track(results, what, len(items), console=console, transient=True, disable=hidden)
