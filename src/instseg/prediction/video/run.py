"""A prediction run on a video: every frame is predicted and tracked; the same command resumes one that was stopped."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import chain, islice
from typing import TypeVar

import msgspec
from rich.console import Console

from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.prediction.folder import Unreadable
from instseg.prediction.summary import print_start
from instseg.prediction.video.frames import Video
from instseg.prediction.video.overlays import OverlayVideo, add_audio
from instseg.prediction.video.progress import FrameProgress
from instseg.prediction.video.start import VideoStart
from instseg.prediction.video.summary import VideoSummary
from instseg.prediction.video.tables import write_coco, write_table
from instseg.prediction.video.tracked_frames import COCO, FRAMES, OVERLAYS, TABLE, FramesFile, TrackedFrame
from instseg.visualization.colours import ColourBy

AHEAD = 4
"""Decoded frames that wait."""
Item = TypeVar("Item")


class VideoRun:
    """A run on a video.

    Args:
        start: its model, its output, and whether it resumes an earlier one.
        video: the frames.
        colour_by: instance: each track has its own colour; category: its category's.
    """

    def __init__(self, start: VideoStart, video: Video, colour_by: ColourBy = "instance") -> None:
        self.model, self.folder, self.record, self.options = start.model, start.folder, start.record, start.options
        self.video, self.colour_by = video, colour_by
        self.is_claimed = self.is_resumed = start.is_resumed
        self.frames = FramesFile(start.folder.path / FRAMES, start.model.predictor.categories)

    def write(self, console: Console) -> VideoSummary:
        """Predict the frames and write the files; Ctrl-C ends it early and leaves every file whole.

        Args:
            console: where the progress is shown.

        Raises:
            InstsegError: the output cannot be written to, or the video is not the one that an earlier run has seen.
        """
        print_start(console, self.record.model, self.model.predictor.network.device, self.model.thresholds)
        num_earlier = self._resume(console) if self.is_resumed else 0
        progress = FrameProgress(console, self._total(), num_earlier)
        interrupted = False
        try:
            with ExitStack() as stack:
                self._predict(stack, stack.enter_context(progress), num_earlier)
        except KeyboardInterrupt:
            interrupted = True
        return self._finish(progress, interrupted)

    def _resume(self, console: Console) -> int:
        """Return the number of frames that are predicted already."""
        self.folder.update(self.record)
        self.frames.trim()
        num_earlier = sum(1 for _ in self.frames)
        limit = self.options.limit
        if limit is not None and limit < num_earlier:
            raise InstsegError(f"limit={limit}: expected {num_earlier} or more, which are predicted already")
        console.print(f"{'resumed:':<18}{plural(num_earlier, 'frame')} predicted before", highlight=False)
        return num_earlier

    def _total(self) -> int | None:
        known = [count for count in (self.video.num_frames, self.options.limit) if count is not None]
        return min(known, default=None)

    def _predict(self, stack: ExitStack, progress: FrameProgress, num_earlier: int) -> None:
        overlay = stack.enter_context(self._overlay()) if OVERLAYS in self.record.writes else None
        frames = islice(stack.enter_context(closing(self.video.frames())), self.options.limit)
        is_live = self.video.is_live
        waiting = frames if is_live else read_ahead(frames, stack.enter_context(ThreadPoolExecutor(1)))
        earlier = self.model.replayed(self.frames, num_earlier, waiting)
        later = self.model.predicted(waiting, 1 if is_live else self.options.batch_size, self._keep)
        for done, (frame, tracked) in enumerate(chain(earlier, later), start=1):
            if overlay is not None:
                overlay.add(frame, tracked)
            progress.add(done)

    def _overlay(self) -> OverlayVideo:
        video, categories = self.video, self.model.predictor.categories
        path = self.folder.path / OVERLAYS
        return OverlayVideo(path, video.time_base, video.frames_per_second, categories, self.colour_by)

    def _keep(self, frame: TrackedFrame) -> None:
        """Write what was found in a frame, at once."""
        if not self.is_claimed:  # only now: the predictions of an earlier run are better than none
            self.folder.claim(self.record)
            self.is_claimed = True
        try:
            self.frames.append(frame)
        except OSError as error:
            raise InstsegError(f"output={self.folder.path} cannot be written to: {error}") from error

    def _finish(self, progress: FrameProgress, interrupted: bool) -> VideoSummary:
        """Write the files of the whole run, unless no frame could be read."""
        self.frames.trim()
        num_frames, num_instances, num_tracks = self.frames.count() if self.is_claimed else (0, {}, {})
        notes = self._write_files() if num_frames else []
        if num_frames:
            self.folder.update(
                msgspec.structs.replace(
                    self.record,
                    state="interrupted" if interrupted else "done",
                    num_images=num_frames,
                    num_instances=num_instances,
                    unreadable=[Unreadable(place, reason) for place, reason in self.video.damage],
                )
            )
        return VideoSummary(
            output=self.folder.path,
            num_frames=num_frames,
            num_predicted=progress.num_predicted,
            seconds=progress.seconds,
            num_instances=num_instances,
            num_tracks=num_tracks,
            damage=self.video.damage,
            interrupted=interrupted,
            writes=tuple(self.folder.writes),
            notes=tuple(filter(None, notes)),
        )

    def _write_files(self) -> list[str]:
        """Write the table and the COCO json, and return notes for the user."""
        output, writes, notes = self.folder.path, self.record.writes, []
        if TABLE in writes:
            write_table(self.frames, output / TABLE)
        if COCO in writes:
            video = {"name": self.video.name, "frames_per_second": round(self.video.frames_per_second, 6)}
            info = {"image_folder": self.record.image_folder, "model": dict(self.record.model)}
            write_coco(self.frames, output / COCO, video, info)
        if OVERLAYS in writes and self.video.audio is not None and (output / OVERLAYS).exists():
            notes.append(add_audio(output / OVERLAYS, self.video.audio, self.video.start_seconds))
        return notes


def read_ahead(items: Iterator[Item], pool: ThreadPoolExecutor) -> Iterator[Item]:
    """Yield the items of an iterator, a few of which another thread has ready.

    Args:
        items: used by that thread alone.
        pool: of one thread.
    """
    waiting: list[Future[list[Item]]] = [pool.submit(_next, items) for _ in range(AHEAD)]
    while found := waiting.pop(0).result():
        waiting.append(pool.submit(_next, items))
        yield found[0]


def _next(items: Iterator[Item]) -> list[Item]:
    """Return the next item, or none."""
    return list(islice(items, 1))
