"""``overlays.mp4``: the frames with their tracks drawn over them, at their own times, with the audio of the source."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from instseg.core.atomic import replacing
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.types import Image, ImageSize
from instseg.prediction.video.frames import Frame
from instseg.prediction.video.tracked_frames import TrackedFrame
from instseg.visualization.canvas import MIN_SIDE_PX
from instseg.visualization.colours import ColourBy
from instseg.visualization.draw import draw_tracks

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

MAX_WAITING = 4
QUALITY = {"preset": "veryfast", "crf": "20", "bf": "0"}
SECONDS_PER_KEYFRAME = 1.0
"""A process that is killed loses the picture of at most so much."""
BT_709 = 1
"""Number of this standard of colours, which players assume for what is not marked."""


class OverlayVideo:
    """A context in which frames are drawn and encoded beside the network, in their order.

    The file can be played while it is written, and after the process was killed.

    Args:
        path: of the mp4, which is replaced.
        time_base: of the times of the frames.
        frames_per_second: mean, for the distance of key frames.
        categories: names of the labels.
        colour_by: instance: each track has its own colour; category: its category's.

    Raises:
        InstsegError: the file cannot be written, such as on a full disk.
    """

    def __init__(
        self, path: Path, time_base: Fraction, frames_per_second: float, categories: Categories, colour_by: ColourBy
    ) -> None:
        self.path, self.categories, self.colour_by = path, categories, colour_by
        self._time_base, self._rate = time_base, frames_per_second
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._most = 1
        self._pool = ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> OverlayVideo:
        return self

    def add(self, frame: Frame, tracked: TrackedFrame) -> None:
        """Hand over a frame; wait while too many are to be drawn.

        Args:
            frame: later than those before.
            tracked: what was found in it.
        """
        while len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._add, frame, tracked))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown()
        try:
            for future in self._waiting:
                future.result()
        finally:
            self._close()

    def _add(self, frame: Frame, tracked: TrackedFrame) -> None:
        self._most = max(self._most, len(tracked.tracks))  # lines and letters do not shrink and grow again
        size = picture_size((frame.pixels.shape[0], frame.pixels.shape[1]))
        look = self.colour_by, size, self._most
        self._encode(draw_tracks(frame.pixels, tracked.found, tracked.tracks, self.categories, *look), frame.pts)

    def _encode(self, picture: Image, pts: int) -> None:
        import av

        even = np.pad(picture, ((0, picture.shape[0] % 2), (0, picture.shape[1] % 2), (0, 0)), "edge")
        try:
            container, stream = self._opened((even.shape[0], even.shape[1]))
            frame = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=BT_709, dst_color_range=1
            )
            frame.pts, frame.time_base = pts, self._time_base
            container.mux(stream.encode(frame))
        except (av.error.FFmpegError, OSError) as error:
            raise InstsegError(f"{self.path}: cannot be written: {error}") from error

    def _opened(self, size: ImageSize) -> tuple[OutputContainer, VideoStream]:
        import av

        if self._container is None or self._stream is None:
            options = {"movflags": "hybrid_fragmented+frag_keyframe", "flush_packets": "1"}
            self._container = av.open(str(self.path), "w", format="mp4", options=options)
            rate = Fraction(self._rate).limit_denominator(1001)
            self._stream = self._container.add_stream("h264", rate=rate, options=dict(QUALITY))
            self._stream.height, self._stream.width = size
            self._stream.pix_fmt, self._stream.codec_context.time_base = "yuv420p", self._time_base
            self._stream.codec_context.gop_size = max(1, round(self._rate * SECONDS_PER_KEYFRAME))
            context = self._stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = BT_709
        return self._container, self._stream

    def _close(self) -> None:
        if self._container is not None and self._stream is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()


def picture_size(size: ImageSize) -> ImageSize:
    """Return the (height, width) px of the picture of a frame: its own, or enlarged so that names can be read."""
    factor = max(1.0, MIN_SIDE_PX / max(size))
    return math.ceil(size[0] * factor), math.ceil(size[1] * factor)


def add_audio(path: Path, source: Path, start_seconds: float) -> str:
    """Copy the audio of a video into an overlay of it, as far as that goes.

    Args:
        path: the overlay, which is replaced.
        source: the video.
        start_seconds: time in it of the first frame of the overlay.

    Returns:
        A note on audio that was left out, or nothing.
    """
    import av

    with av.open(str(source), metadata_errors="replace") as sounding, av.open(str(path)) as seen:
        if not sounding.streams.audio:
            return ""
        audio, pictures = sounding.streams.audio[0], seen.streams.video[0]
        try:
            with (
                replacing(path) as scratch,
                av.open(str(scratch), "w", format="mp4", options={"movflags": "faststart"}) as joined,
            ):
                streams = [joined.add_stream_from_template(stream) for stream in (pictures, audio)]
                _join(joined, streams, seen, sounding, start_seconds)
        except (av.error.FFmpegError, ValueError) as error:
            return f"the audio of {source.name} ({audio.codec_context.name}) is not in {path.name}: {error}"
    return ""


def _join(
    joined: OutputContainer,
    streams: Sequence[Stream],
    seen: InputContainer,
    sounding: InputContainer,
    start_seconds: float,
) -> None:
    """Copy the packets of both in the order of their times; the audio ends with the pictures."""
    pictures = seen.streams.video[0]
    end = float((pictures.duration or 0) * (pictures.time_base or 1))
    timed = _timed(seen, 0, 0.0, math.inf), _timed(sounding, 1, start_seconds, end)
    for _, which, packet in heapq.merge(*timed, key=lambda entry: entry[0]):
        packet.stream = streams[which]
        joined.mux(packet)


def _timed(
    container: InputContainer, which: int, start: float, end: float
) -> Iterator[tuple[float, int, Packet[Stream]]]:
    """Yield time, stream and packet from a start on, and the first times become 0; damaged audio ends early."""
    import av

    stream = container.streams.audio[0] if which else container.streams.video[0]
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            return
        if packet is None:
            return
        if packet.pts is None or packet.dts is None or packet.time_base is None:
            continue
        offset = round(start / packet.time_base)
        seconds = float((packet.pts - offset) * packet.time_base)
        if 0 <= seconds < end:
            packet.pts, packet.dts = packet.pts - offset, packet.dts - offset
            yield seconds, which, packet
