"""The files of a whole video, made of ``frames.jsonl`` a frame at a time: a table, and a COCO json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TextIO

from instseg.core.atomic import replacing
from instseg.core.categories import Categories
from instseg.core.coco_json import CSV_COLUMNS, prediction_rows, predictions_to_coco
from instseg.prediction.video.tracked_frames import FramesFile, TrackedFrame
from instseg.prediction.writers.tables import mark_images, write_rows

COLUMNS = ("frame", "time_seconds", "track", *CSV_COLUMNS)
WHOLE = 1
"""Id of the one video of a run in its COCO json."""


def write_table(frames: FramesFile, path: Path) -> None:
    """Write a CSV with a row for each instance of each frame.

    Args:
        frames: of the run.
        path: of the CSV.
    """
    write_rows(path, COLUMNS, chain.from_iterable(_rows(frame, frames.categories) for frame in frames))


def _rows(frame: TrackedFrame, categories: Categories) -> Iterator[dict[str, object]]:
    rows = prediction_rows(frame.found, frame.file_name, categories)
    for track, row in zip(frame.tracks.tolist(), rows, strict=True):
        yield {"frame": frame.number, "time_seconds": round(frame.seconds, 6), "track": track, **row}


def write_coco(frames: FramesFile, path: Path, video: Mapping[str, object], info: Mapping[str, object]) -> None:
    """Write a COCO json of frames with videos and tracks, in the fields of TAO (Dave et al., 2020), frame by frame.

    Args:
        frames: of the run.
        path: of the json.
        video: its name and facts.
        info: what made it.
    """
    tracks: dict[int, int] = {}
    with replacing(path) as scratch, scratch.open("w", encoding="utf-8", errors="backslashreplace") as file:
        head = {"info": dict(info), "videos": [{"id": WHOLE, **video}], "categories": frames.categories.to_coco()}
        file.write(json.dumps(head, ensure_ascii=False)[:-1])
        _write_list(file, "images", (_image(frame, frames.categories) for frame in frames))
        _write_list(file, "annotations", _annotations(frames, tracks))
        known = ({"id": track, "category_id": label, "video_id": WHOLE} for track, label in sorted(tracks.items()))
        _write_list(file, "tracks", known)
        file.write("}\n")


def _write_list(file: TextIO, key: str, entries: Iterator[Mapping[str, object]]) -> None:
    file.write(f', "{key}": [')
    for index, entry in enumerate(entries):
        file.write((",\n" if index else "\n") + json.dumps(entry, ensure_ascii=False))
    file.write("]")


def _image(frame: TrackedFrame, categories: Categories) -> dict[str, object]:
    coco = predictions_to_coco([frame.found], {frame.number: frame.file_name}, categories)
    mark_images(coco)
    place = {"video_id": WHOLE, "frame_index": frame.number - 1, "time_seconds": round(frame.seconds, 6)}
    return {**coco["images"][0], **place}


def _annotations(frames: FramesFile, tracks: dict[int, int]) -> Iterator[dict[str, object]]:
    """Yield the annotations of all frames, and note the label of each track."""
    count = 0
    for frame in frames:
        coco = predictions_to_coco([frame.found], {frame.number: frame.file_name}, frames.categories)
        for track, annotation in zip(frame.tracks.tolist(), coco["annotations"], strict=True):
            count += 1
            tracks[track] = annotation["category_id"]
            yield {**annotation, "id": count, "video_id": WHOLE, "track_id": track}
