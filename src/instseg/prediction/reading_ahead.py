"""Image files that threads decode while others are predicted on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from instseg.core.errors import InstsegError

Decoded = TypeVar("Decoded")


def decoded_ahead(
    paths: Iterable[Path],
    decode: Callable[[Path], Decoded],
    num_threads: int,
    ahead: int,
    unreadable: list[tuple[Path, str]],
) -> Iterator[tuple[int, Path, Decoded]]:
    """Decode files in threads, in their order.

    Args:
        paths: the files.
        decode: reads one; it raises InstsegError where it cannot.
        num_threads: that decode.
        ahead: decoded images that may wait.
        unreadable: gets the files that cannot be read, each with the reason.

    Yields:
        Position from 1, file and image of each readable file.
    """
    with ThreadPoolExecutor(num_threads) as pool:
        numbered = enumerate(paths, start=1)
        waiting: deque[tuple[int, Path, Future[Decoded]]] = deque()
        try:
            while True:
                for image_id, path in islice(numbered, ahead - len(waiting)):
                    waiting.append((image_id, path, pool.submit(decode, path)))
                if not waiting:
                    return
                image_id, path, decoded = waiting.popleft()
                try:
                    image = decoded.result()
                except InstsegError as error:
                    unreadable.append((path, str(error).removeprefix(f"{path}: ")))
                else:
                    yield image_id, path, image
        finally:
            pool.shutdown(cancel_futures=True)  # a caller that stops early does not wait for the rest
