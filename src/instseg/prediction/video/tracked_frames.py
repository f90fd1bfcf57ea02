"""``frames.jsonl``: a line for each predicted frame, written at once, from which a stopped run is resumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.records import Record, parse_record
from instseg.core.types import Prediction
from instseg.prediction.folder import REMEDY

FRAMES, OVERLAYS, COCO, TABLE = "frames.jsonl", "overlays.mp4", "predictions.json", "predictions.csv"
WRITES = {"overlays": OVERLAYS, "coco": COCO, "csv": TABLE}
"""Name in ``save=`` -> file in the output."""


class TrackedInstance(msgspec.Struct, frozen=True):
    """An instance in a frame."""

    track: int
    category: str
    score: float
    box: tuple[float, float, float, float]  # xyxy
    counts: str  # of the compressed COCO run-length mask


class FrameRecord(Record, frozen=True, kw_only=True):
    """A line of ``frames.jsonl``."""

    frame: int  # from 1
    time_seconds: float
    file_name: str
    height: int
    width: int
    instances: list[TrackedInstance]


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """The instances of a frame, each with the number of its track."""

    number: int
    seconds: float
    file_name: str
    found: Prediction
    tracks: NDArray[np.int64]  # (N,) from 1


class FramesFile:
    """The file of all frames of a run.

    Args:
        path: need not exist.
        categories: names of the labels.
    """

    def __init__(self, path: Path, categories: Categories) -> None:
        self.path, self.categories = path, categories

    def trim(self) -> None:
        """Cut off a last line that was not written to its end."""
        if not self.path.exists():
            return
        with self.path.open("rb+") as file:
            end = 0
            for line in file:
                end += len(line) if line.endswith(b"\n") else 0
            file.truncate(end)

    def append(self, frame: TrackedFrame) -> None:
        """Write a frame, at once."""
        height, width = frame.found.image_size
        instances = [self._instance(frame, index) for index in range(len(frame.found))]
        record = FrameRecord(
            frame=frame.number,
            time_seconds=frame.seconds,
            file_name=frame.file_name,
            height=height,
            width=width,
            instances=instances,
        )
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(record) + b"\n")

    def _instance(self, frame: TrackedFrame, index: int) -> TrackedInstance:
        found = frame.found
        x1, y1, x2, y2 = found.boxes[index].tolist()
        name, counts = self.categories.name(int(found.labels[index])), found.rles[index]["counts"].decode("ascii")
        return TrackedInstance(int(frame.tracks[index]), name, float(found.scores[index]), (x1, y1, x2, y2), counts)

    def __iter__(self) -> Iterator[TrackedFrame]:
        """Yield the frames, one at a time.

        Raises:
            RecordError: a line is not as it was written.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                where = f"{self.path}, line {number}"
                yield self._frame(parse_record(line, FrameRecord, where, REMEDY), where)

    def _frame(self, record: FrameRecord, where: str) -> TrackedFrame:
        size, found = (record.height, record.width), record.instances
        if unknown := {one.category for one in found} - {*self.categories.names}:
            raise InstsegError(f"{where}: category {min(unknown)} is not of the model; {REMEDY}")
        prediction = Prediction(
            record.frame,
            size,
            np.array([one.box for one in found], np.float32).reshape(-1, 4),
            np.array([self.categories.label(one.category) for one in found], np.int64),
            np.array([one.score for one in found], np.float32),
            [{"size": [*size], "counts": one.counts.encode("ascii")} for one in found],
        )
        tracks = np.array([one.track for one in found], np.int64)
        return TrackedFrame(record.frame, record.time_seconds, record.file_name, prediction, tracks)

    def count(self) -> tuple[int, dict[str, int], dict[str, int]]:
        """Return the number of frames, and of instances and of tracks by category, most instances first."""
        num_frames, instances, tracks = 0, Counter[str](), dict[int, str]()
        for frame in self:
            num_frames += 1
            names = [self.categories.name(label) for label in frame.found.labels.tolist()]
            instances.update(names)
            tracks.update(zip(frame.tracks.tolist(), names, strict=True))
        return num_frames, dict(instances.most_common()), dict(Counter(tracks.values()))
