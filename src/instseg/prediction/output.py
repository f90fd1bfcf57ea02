"""What ``predict.py`` does: predict every photo of a source, and leave what was found in the formats asked for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from instseg import __version__
from instseg.core.categories import Categories, select_names
from instseg.core.errors import InstsegError
from instseg.data.reading.images import Source, find_images
from instseg.prediction.folder import PredictionFolder
from instseg.prediction.predictor import Predictor
from instseg.prediction.summary import PredictSummary
from instseg.prediction.writers.formats import DEFAULT_SAVE, FORMATS, check_formats
from instseg.prediction.writers.predicted_image import ExportRun, Picture, PredictedPhoto, unique_stems
from instseg.prediction.writers.writer import Exporter


def write_predictions(
    predictor: Predictor,
    source: Source,
    output: Path,
    *,
    save: str | Sequence[str] = DEFAULT_SAVE,
    score_threshold: float = 0.5,
    categories: Sequence[str] | None = None,
    limit: int | None = None,
    batch_size: int = 1,
    overwrite: bool = False,
    identity: Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> PredictSummary:
    """Predict every image of the source and write what was found into ``output``, in the formats of ``save``.

    Files are named relative to the source folder, or to the folder that all files have in common; pictures and labels
    keep its folders. Memory grows with the detections, not with the images. Ctrl-C writes what is there.

    Args:
        save: one or more of ``exports.formats.FORMATS``.
        score_threshold: instances below are in none of the outputs.
        categories: only these names; None: all.
        limit: only the first so many files.
        overwrite: replace what an earlier run left in ``output``.
        identity: what the model is, to stand beside its predictions; ``TrainedModel.identity``.

    Raises:
        InstsegError: before any work when the source has no image, a category or format is not known, or ``output``
            holds an earlier run and ``overwrite`` is false; later when ``output`` cannot be written to.
    """
    save = check_formats(save)
    folder = PredictionFolder(output, [FORMATS[name].writes for name in save], overwrite)
    paths = _sources(source, folder, limit)
    names = select_names(predictor.categories.names, categories, "categories")
    about = _identity(identity or {}, predictor.categories, score_threshold)
    run = ExportRun(output.absolute(), _root(source, paths), predictor.categories, about)
    exporter = Exporter(run, save)
    interrupted = False
    with _progress(console or Console()) as progress, exporter:
        task = progress.add_task("predict", total=len(paths))
        try:
            for picture in _pictures(predictor, paths, run.image_folder, batch_size, score_threshold, names):
                if not exporter.photos:  # only now: the predictions of an earlier run are better than none
                    folder.claim({"image_folder": str(run.image_folder), "save": save, "model": about})
                exporter.add(picture)
                progress.update(task, completed=len(exporter.photos) + len(predictor.unreadable))
        except KeyboardInterrupt:
            interrupted = True
        progress.update(task, completed=len(exporter.photos) + len(predictor.unreadable))
    return _finish(exporter, folder, predictor, interrupted)


def _sources(source: Source, folder: PredictionFolder, limit: int | None) -> list[Path]:
    """Never the pictures of a run, should ``output`` lie inside the source."""
    if limit is not None and limit < 1:
        raise InstsegError(f"limit: expected at least 1 (or null for all), found {limit}")
    paths = [path for path in find_images(source) if not folder.contains(path)]
    if not paths:
        raise InstsegError(f"source {source}: holds only pictures that an earlier run wrote")
    return paths[:limit]


def _root(source: Source, paths: Sequence[Path]) -> Path:
    """The folder that files are named relative to."""
    entries = [source] if isinstance(source, str | Path) else list(source)
    if len(entries) == 1 and (folder := Path(entries[0]).expanduser()).is_dir():
        return Path(os.path.normpath(folder.absolute()))
    return Path(os.path.commonpath([path.absolute().parent for path in paths]))


def _identity(model: Mapping[str, Any], categories: Categories, score_threshold: float) -> dict[str, Any]:
    """What found the instances, when, and down to which score."""
    return {
        **model,
        "instseg": __version__,
        "category_names": list(categories.names),  # another key would make other programs take it for COCO
        "score_threshold": score_threshold,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _pictures(
    predictor: Predictor,
    paths: Sequence[Path],
    root: Path,
    batch_size: int,
    score_threshold: float,
    names: Sequence[str],
) -> Iterator[Picture]:
    """Every readable photo with those of its instances that are wanted."""
    wanted = [predictor.categories.label(name) for name in names]
    files = [Path(os.path.relpath(path, root)).as_posix() for path in paths]
    stems = unique_stems(files)
    for _, image, prediction in predictor.predict_files(paths, batch_size):
        chosen = prediction.select((prediction.scores >= score_threshold) & np.isin(prediction.labels, wanted))
        position = prediction.image_id - 1
        yield Picture(PredictedPhoto(files[position], stems[position], chosen), image)


def _finish(exporter: Exporter, folder: PredictionFolder, predictor: Predictor, interrupted: bool) -> PredictSummary:
    """Write what belongs to the whole run, unless nothing could be read."""
    found = Counter(predictor.categories.name(int(label)) for p in exporter.photos for label in p.prediction.labels)
    counts = dict(found.most_common())
    notes = exporter.finish() if exporter.photos else []
    if exporter.photos:
        folder.close(
            "interrupted" if interrupted else "done",
            num_images=len(exporter.photos),
            num_instances=counts,
            unreadable=[{"file": str(path), "reason": reason} for path, reason in predictor.unreadable],
        )
    return PredictSummary(
        folder.path, len(exporter.photos), counts, predictor.unreadable, interrupted, tuple(folder.writes), tuple(notes)
    )


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)
