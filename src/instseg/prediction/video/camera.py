"""Cameras of this machine, read by OpenCV."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.types import Image
from instseg.prediction.video.frames import Frame, Video

MILLISECONDS = Fraction(1, 1000)
DEFAULT_RATE = 30.0
PATIENCE_SECONDS = 5.0
"""For which a camera that hangs is waited for at the end."""


class Camera(Video):
    """A camera of this machine; of the frames that come while one is predicted, only the newest is kept.

    Args:
        index: which one, from 0.

    Raises:
        InstsegError: there is none.
    """

    is_live, time_base = True, MILLISECONDS

    def __init__(self, index: int) -> None:
        super().__init__()
        self.name = f"camera:{index}"
        self.path = Path(self.name)
        self.capture = cv2.VideoCapture(index)
        if not self.capture.isOpened():
            raise InstsegError(f"source={self.name}: there is no such camera, or another program is using it")
        self.frames_per_second = self.capture.get(cv2.CAP_PROP_FPS) or DEFAULT_RATE
        self._arrived = threading.Condition()
        self._newest: tuple[float, Image] | None = None
        self._is_open = True

    def frames(self) -> Generator[Frame]:
        """Yield frames until the camera is gone or the caller stops."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        number, start, last = 0, 0.0, -1
        try:
            while (newest := self._next()) is not None:
                arrived, picture = newest
                start, number = start or arrived, number + 1
                last = max(last + 1, round((arrived - start) / MILLISECONDS))
                yield Frame(number, last, last / 1000, picture, f"{number:06d}.jpg")
            self.damage.append((f"after frame {number}", "the camera gives no more frames"))
        finally:
            self._is_open = False
            thread.join(PATIENCE_SECONDS)
            self.capture.release()

    def state(self) -> dict[str, object]:
        """Return its name."""
        return {"video": self.name}

    def _watch(self) -> None:
        while self._is_open:
            is_read, picture = self.capture.read()
            with self._arrived:
                self._newest = (time.monotonic(), _rgb(picture)) if is_read else None
                self._is_open = self._is_open and is_read
                self._arrived.notify()

    def _next(self) -> tuple[float, Image] | None:
        with self._arrived:
            self._arrived.wait_for(lambda: self._newest is not None or not self._is_open)
            newest, self._newest = self._newest, None
            return newest


def _rgb(picture: NDArray[np.integer | np.floating]) -> Image:
    """Return (H, W, 3) uint8 RGB of what OpenCV has read."""
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
