"""Frames that are predicted and tracked, after those that an earlier run has predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.types import Prediction
from instseg.prediction.predictor import Predictor
from instseg.prediction.thresholds import Thresholds
from instseg.prediction.video.frames import Frame
from instseg.prediction.video.tracked_frames import FramesFile, TrackedFrame
from instseg.prediction.video.tracker import Tracker

Found = tuple[Frame, TrackedFrame]


@dataclass(frozen=True, slots=True)
class FramePredictor:
    """A model and the tracker of one video.

    Args:
        predictor: the loaded model.
        tracker: that has seen no frame yet.
        thresholds: instances below begin no track.
        labels: of the categories that are wanted.
    """

    predictor: Predictor
    tracker: Tracker
    thresholds: Thresholds
    labels: Sequence[int]

    def replayed(self, earlier: FramesFile, num_earlier: int, frames: Iterator[Frame]) -> Iterator[Found]:
        """Yield what an earlier run has found, and bring the tracker to where it was.

        Args:
            earlier: the file of that run.
            num_earlier: frames in it.
            frames: the video from its first frame on; no more frames are taken from it.

        Raises:
            InstsegError: the video has other frames than it had.
        """
        for tracked, frame in zip(islice(earlier, num_earlier), frames, strict=False):
            if (tracked.number, tracked.file_name) != (frame.number, frame.file_name):
                raise InstsegError(
                    f"{earlier.path}: expected frame {tracked.number} ({tracked.file_name}) in the video, found frame "
                    f"{frame.number} ({frame.file_name}); begin anew with overwrite=true"
                )
            self.tracker.follow(tracked.found, tracked.tracks, tracked.seconds)
            yield frame, tracked

    def predicted(
        self, frames: Iterator[Frame], batch_size: int, keep: Callable[[TrackedFrame], None]
    ) -> Iterator[Found]:
        """Predict and track frames.

        Args:
            frames: those that follow.
            batch_size: frames at once in the network.
            keep: is given each frame as soon as it is tracked.
        """
        while batch := list(islice(frames, batch_size)):
            images, ids = [frame.pixels for frame in batch], [frame.number for frame in batch]
            for frame, found in zip(batch, self.predictor.predict_images(images, ids, batch_size), strict=True):
                numbered = self._tracked(found, frame.seconds)
                tracked = TrackedFrame(frame.number, frame.seconds, frame.file_name, *numbered)
                keep(tracked)
                yield frame, tracked

    def _tracked(self, found: Prediction, seconds: float) -> tuple[Prediction, NDArray[np.int64]]:
        """Return the instances that have a track, with its number."""
        weak = self.tracker.weak_fraction * self.thresholds.of_labels()
        found = found.select(np.isin(found.labels, self.labels) & (found.scores >= weak[found.labels - 1]))
        numbers = self.tracker.update(found, self.thresholds.is_kept(found), seconds)
        return found.select(numbers > 0), numbers[numbers > 0]
