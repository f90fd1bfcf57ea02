"""Video files, decoded by PyAV, which brings FFmpeg's libraries with it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.types import Image
from instseg.prediction.video.frames import Frame, Video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

SHORTER_SECONDS = 0.3
"""By which a video must be shorter than it says to count as truncated; its last frame is shown for some of that."""
DEFAULT_RATE = 25


class VideoFile(Video):
    """A video file, decoded by PyAV: rotated as its metadata says, with the times that it holds.

    Args:
        path: the file.

    Raises:
        InstsegError: no frame can be read.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.name, self.audio = path, path.name, path
        with self._opened() as container:
            stream = self._stream(container)
            rate = stream.average_rate or stream.guessed_rate or Fraction(DEFAULT_RATE)
            self.time_base, self.frames_per_second = stream.time_base or Fraction(1, 1000), float(rate)
            self.end_seconds = _end_seconds(container, stream)
            self.num_stored = stream.frames
            self.num_frames = stream.frames or (round(self.end_seconds * rate) if self.end_seconds else None)
            first = next(self._decoded(container, stream), None)
        if first is None:
            raise InstsegError(f"{path}: holds no frame that can be read; is it complete?")
        self.start_seconds = float((first.pts or 0) * self.time_base)
        self.size = _upright(first).shape[:2]

    def frames(self) -> Generator[Frame]:
        """Yield the frames."""
        self.damage = []
        number, first, last = 0, 0, -1
        with self._opened() as container:
            for decoded in self._decoded(container, self._stream(container)):
                if number == 0:
                    first = decoded.pts or 0
                number += 1
                last = max(last + 1, (first + last + 1 if decoded.pts is None else decoded.pts) - first)
                pixels = _upright(decoded)
                if decoded.is_corrupt:
                    self.damage.append((f"frame {number}", "it is damaged"))
                if self._check_size(number, pixels.shape[:2], self.size):
                    yield Frame(number, last, float(last * self.time_base), pixels, f"{number:06d}.jpg")
        self._check_end(number, float((first + last) * self.time_base))

    def state(self) -> dict[str, object]:
        """Return path and size of the file."""
        return {"video": str(self.path.absolute()), "num_bytes": self.path.stat().st_size}

    def _opened(self) -> InputContainer:
        import av

        try:
            return av.open(str(self.path), metadata_errors="replace")
        except (av.error.FFmpegError, OSError) as error:
            reason = "it is empty" if not self.path.stat().st_size else _reason(error)
            raise InstsegError(f"{self.path}: cannot be read as a video ({reason}); is it complete?") from error

    def _stream(self, container: InputContainer) -> VideoStream:
        if not container.streams.video:
            raise InstsegError(f"{self.path}: holds no video, only {', '.join(s.type for s in container.streams)}")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return stream

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        """Yield what can be decoded, and name the rest."""
        import av

        packets, count = container.demux(stream), 0
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                decoded = packet.decode()
            except av.error.FFmpegError as error:
                self.damage.append((f"after frame {count}", _reason(error)))
                continue  # a demuxer that failed has ended
            count += len(decoded)
            yield from decoded

    def _check_end(self, number: int, last_seconds: float) -> None:
        """Name what is missing at the end; a file that does not count its frames may show its last one for long."""
        is_whole = self.num_stored and number >= self.num_stored
        if not is_whole and self.end_seconds is not None and self.end_seconds - last_seconds > SHORTER_SECONDS:
            said = f"the file says {self.end_seconds:.1f} s: it is truncated"
            self.damage.append((f"after frame {number}", f"the video ends at {last_seconds:.1f} s, {said}"))


def _upright(frame: VideoFrame) -> Image:
    """Return the pixels (H, W, 3), rotated by multiples of 90 degrees as the metadata says."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _end_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the time of the end as the file has it; None where it has none of the video alone."""
    if stream.duration is not None and stream.time_base is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return ((container.start_time or 0) + container.duration) / 1_000_000
    return None


def _reason(error: Exception) -> str:
    """Return a reason of FFmpeg without its number."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]
