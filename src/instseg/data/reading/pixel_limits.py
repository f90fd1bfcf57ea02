"""The memory that decoding may take: a limit of one image, and of all that the threads of a process decode at once.

A PNG of 314 kB can hold 24,000 x 24,000 pixels. Decoding takes up to 8 bytes a pixel besides the result.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from instseg.core.errors import InstsegError
from instseg.core.text import printable
from instseg.core.types import ImageSize

VARIABLE = "INSTSEG_MAX_PIXELS"
DEFAULT = 300_000_000
"""Beyond any camera. As RGB these pixels are 0.9 GB, and 2.1 GB while they are decoded."""
AT_ONCE = 100_000_000
"""Pixels that the threads of a process decode at once, about 1 GB; a larger image goes alone."""


class TooManyPixelsError(InstsegError):
    """An image, or a mask, has more pixels than are read."""


def max_pixels() -> int:
    """Return the most pixels that an image may have: 300 million, or as the environment says.

    Raises:
        InstsegError: the environment says something else than a number.
    """
    given = os.environ.get(VARIABLE, "")
    if not given:
        return DEFAULT
    if not given.isascii() or not given.isdigit() or int(given[:18]) == 0:
        raise InstsegError(f"{VARIABLE}: expected a number of pixels, such as {DEFAULT}, found {printable(given)}")
    return int(given[:18])


def check_pixels(width: int, height: int) -> None:
    """Require that an image, or a mask, is within the limit.

    Args:
        width: in pixels.
        height: in pixels.

    Raises:
        TooManyPixelsError: it has more; the message says how to raise the limit.
    """
    limit = max_pixels()
    if width * height > limit:
        raise TooManyPixelsError(
            f"{width} x {height} pixels, at most {limit:,} are read; {VARIABLE}={width * height} in the environment "
            "raises the limit"
        )


def size_for_a_mask(image_size: ImageSize | None) -> ImageSize:
    """Return the size of an image, which a mask on it needs.

    Args:
        image_size: (height, width) px; None where it is not known.

    Raises:
        InstsegError: it is not known, or beyond the limit.
    """
    if image_size is None:
        raise InstsegError("a mask needs the size of its image, which is not known")
    check_pixels(image_size[1], image_size[0])
    return image_size


class _Room:
    """Room for the pixels that are being decoded by the threads of this process."""

    def __init__(self) -> None:
        self._taken, self._freed = 0, threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until the pixels fit beside those of other threads, or there are none."""
        with self._freed:
            self._freed.wait_for(lambda: self._taken == 0 or self._taken + pixels <= AT_ONCE)
            self._taken += pixels
        try:
            yield
        finally:
            with self._freed:
                self._taken -= pixels
                self._freed.notify_all()


_room = _Room()


def room_for(width: int, height: int) -> AbstractContextManager[None]:
    """Reserve memory for an image while it is decoded; threads wait until there is enough.

    Args:
        width: in pixels.
        height: in pixels.
    """
    return _room.taken(width * height)


def _empty_the_room() -> None:
    """Start anew in a process that was forked while threads of its parent were decoding."""
    global _room
    _room = _Room()


os.register_at_fork(after_in_child=_empty_the_room)
