"""Results that are saved: images that have been predicted already, written in the formats of a prediction run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path
from instseg.core.text import path_text
from instseg.core.types import Prediction
from instseg.prediction.folder import RECORD, PredictionFolder, PredictionRecord
from instseg.prediction.source_image import SourceImage
from instseg.prediction.writers.choice import checked_names
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage, unique_stems
from instseg.prediction.writers.threads import WriterThreads
from instseg.prediction.writers.writer import PredictionRun, Writer
from instseg.visualization.sheets import write_image

SOURCES = "images"
"""The folder in the output for images that came from memory: the formats refer to files."""

Found = tuple[SourceImage, Prediction]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts about a model that its results are saved with."""

    categories: Categories
    identity: Mapping[str, object]
    """Plain containers that say which model it was."""
    make_writers: Callable[[], Mapping[str, Writer]]
    """Makes the writers of all formats there are, by name."""


def save_predictions(found: Sequence[Found], model: ModelFacts, folder: Path, formats: object, overwrite: bool) -> None:
    """Write images that have been predicted into a folder, as a prediction run does.

    Args:
        found: images and their predictions, at least one.
        model: that found them.
        folder: the output, which holds no earlier predictions.
        formats: one or more names of writers.
        overwrite: replace what was saved there earlier.

    Raises:
        InstsegError: a format is not known, an image is there twice, or the folder holds earlier predictions.
    """
    output = absolute_path(folder)
    writers = model.make_writers()
    chosen = {name: writers[name] for name in checked_names(formats, writers)}
    owned = _owned_folder(found, output, chosen, writers, overwrite)
    paths = _paths(found, output)
    root = Path(os.path.commonpath([path.parent for path in paths]))
    run = PredictionRun(output, root, model.categories, dict(model.identity))
    record = PredictionRecord(
        writes=owned.writes, save=list(chosen), image_folder=path_text(root), model=dict(model.identity)
    )
    owned.claim(record)
    _write(found, paths, WriterThreads(run, list(chosen.values())))
    owned.update(_finished(record, found, model.categories))


def _owned_folder(
    found: Sequence[Found], output: Path, chosen: Mapping[str, Writer], writers: Mapping[str, Writer], overwrite: bool
) -> PredictionFolder:
    if (output / RECORD).exists() and not overwrite:
        raise InstsegError(
            f"{output} holds predictions that were saved earlier: choose another folder, replace them with "
            "overwrite=True, or save several results at once: model.predict(images).save(folder)"
        )
    sources = [SOURCES] if any(image.path is None for image, _ in found) else []
    writes = [*(writer.writes for writer in chosen.values()), *sources]
    known = [*(writer.writes for writer in writers.values()), SOURCES]
    folder = PredictionFolder(output, writes, known, overwrite)
    for image, _ in found:
        if image.path is not None and folder.contains(image.path):
            raise InstsegError(f"{image.path} would be replaced by what is saved: choose another folder than {output}")
    return folder


def _paths(found: Sequence[Found], output: Path) -> list[Path]:
    """Return the absolute path of each image, or the one that it is going to have, each once."""
    given = [str(image.path or output / SOURCES / image.name) for image, _ in found]
    seen = Counter(given)
    if repeated := [path for path, count in seen.items() if count > 1]:
        raise InstsegError(f"save: {repeated[0]} is among the results more than once; save each image once")
    return [Path(path) for path in given]


def _write(found: Sequence[Found], paths: Sequence[Path], threads: WriterThreads) -> None:
    files = [Path(os.path.relpath(path, threads.run.image_folder)).as_posix() for path in paths]
    with threads:
        named = zip(found, paths, files, unique_stems(files), strict=True)
        for number, ((image, prediction), path, file, stem) in enumerate(named, start=1):
            if image.path is None:
                write_image(path, image.pixels())
            predicted = PredictedImage(file, stem, replace(prediction, image_id=number))
            threads.add(LoadedImage(predicted, image.decoded()))
    threads.finish()


def _finished(record: PredictionRecord, found: Sequence[Found], categories: Categories) -> PredictionRecord:
    counts = Counter(categories.name(int(label)) for _, prediction in found for label in prediction.labels)
    return msgspec.structs.replace(
        record, state="done", num_images=len(found), num_instances=dict(counts.most_common())
    )
