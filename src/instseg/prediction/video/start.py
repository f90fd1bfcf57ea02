"""The start of a run on a video: what it writes, and whether it resumes one that was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from instseg.core.categories import select_names
from instseg.core.errors import InstsegError
from instseg.core.records import RecordError, read_record
from instseg.core.text import path_text
from instseg.prediction.folder import RECORD, REMEDY, PredictionFolder, PredictionRecord
from instseg.prediction.output import OutputOptions, run_identity
from instseg.prediction.predictor import Predictor
from instseg.prediction.thresholds import choose_thresholds
from instseg.prediction.video.frames import Video
from instseg.prediction.video.predicted_frames import FramePredictor
from instseg.prediction.video.tracked_frames import FRAMES, WRITES
from instseg.prediction.video.tracker import Tracker
from instseg.prediction.writers.choice import checked_names
from instseg.prediction.writers.writer import Writer

OF_ONE_RUN = ("created", "instseg")
"""Keys of a model's identity that differ between runs with one model."""


@dataclass(frozen=True, slots=True)
class VideoStart:
    """The model, the output and the options of a run on a video."""

    model: FramePredictor
    folder: PredictionFolder
    record: PredictionRecord
    options: OutputOptions
    is_resumed: bool
    """The folder holds a part of the same run."""


def start_video(
    predictor: Predictor,
    tracker: Tracker,
    video: Video,
    output: Path,
    writers: Mapping[str, Writer],
    options: OutputOptions,
    *,
    identity: Mapping[str, object],
    settings: Mapping[str, object],
) -> VideoStart:
    """Prepare a run on a video; nothing is written yet.

    Args:
        predictor: the loaded model.
        tracker: that has seen no frame yet.
        video: its frames.
        output: the folder that everything is written to.
        writers: name -> writer of every format of images there is.
        options: what to save, and of what.
        identity: plain containers that say what the model is.
        settings: plain containers of everything else that changes what is found: a run with others is not resumed.

    Raises:
        InstsegError: an option cannot be used, or ``output`` holds something that may not be replaced.
    """
    save = _checked_save(options.save, writers)
    thresholds = choose_thresholds(options.score_threshold, predictor.categories, predictor.operating_points)
    names = select_names(predictor.categories.names, options.categories, "categories")
    record = PredictionRecord(
        writes=[*(WRITES[name] for name in save), FRAMES],
        save=[*save],
        image_folder=path_text(video.path),
        model=run_identity(identity, predictor.categories, thresholds),
        video={**video.state(), **settings, "categories": [*names]},
    )
    is_resumed = not (options.overwrite or video.is_live) and _is_resumed(output, record)
    known = [*WRITES.values(), FRAMES, *(writer.writes for writer in writers.values())]
    folder = PredictionFolder(output, record.writes, known, options.overwrite or is_resumed)
    labels = [predictor.categories.label(name) for name in names]
    model = FramePredictor(predictor, tracker, thresholds, labels)
    return VideoStart(model, folder, record, options, is_resumed)


def _checked_save(save: object, writers: Mapping[str, Writer]) -> tuple[str, ...]:
    names = checked_names(save, writers)
    if others := [name for name in names if name not in WRITES]:
        raise InstsegError(
            f"save: {others[0]} is not made of videos, only {', '.join(WRITES)} are; for the others, extract the "
            "frames and predict them as images: ffmpeg -i VIDEO -fps_mode passthrough frames/%06d.jpg"
        )
    return names


def _is_resumed(output: Path, record: PredictionRecord) -> bool:
    """Tell whether the output holds a part of the same run.

    Raises:
        InstsegError: it holds a part of a run on a video, but under other settings.
    """
    try:
        earlier = read_record(output / RECORD, PredictionRecord, REMEDY)
    except RecordError:
        return False
    if earlier.video is None or earlier.state == "done":
        return False
    old, new = _facts(earlier), _facts(record)
    if other := sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key)):
        raise InstsegError(
            f"output={output} holds a video that was stopped, of another {', '.join(other)}: resume it with the "
            "command that began it, choose another folder, or begin anew with overwrite=true"
        )
    return True


def _facts(run: PredictionRecord) -> dict[str, object]:
    """Return by what a run on a video is known again, as it stands in a json."""
    model = {key: value for key, value in run.model.items() if key not in OF_ONE_RUN}
    text = msgspec.json.encode({**(run.video or {}), **model, "save": run.save})
    return msgspec.json.decode(text, type=dict[str, object])
