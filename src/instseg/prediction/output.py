"""A prediction run: every image of a source is predicted, and the predictions are written in the chosen formats."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from instseg import __version__
from instseg.core.categories import Categories, select_names
from instseg.core.text import path_text
from instseg.core.types import Prediction
from instseg.data.reading.image_files import Source
from instseg.prediction.folder import PredictionFolder, PredictionRecord, Unreadable
from instseg.prediction.predictor import Decoded, Predictor
from instseg.prediction.sources import (
    DOWNLOADS,
    PAGES,
    Images,
    Page,
    common_folder,
    find_sources,
    made_in,
    note_on_pages,
    source_folder,
)
from instseg.prediction.summary import PredictSummary, print_start
from instseg.prediction.thresholds import AUTO, Thresholds, choose_thresholds
from instseg.prediction.tiles_shown import TilesShown, note_on_shrunk
from instseg.prediction.writers.choice import checked_names
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage, unique_stems
from instseg.prediction.writers.threads import WriterThreads
from instseg.prediction.writers.writer import PredictionRun, Writer

DEFAULT_SAVE = ("overlays", "coco", "csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """Options of a prediction run.

    Args:
        save: one or more names of writers.
        score_threshold: instances below are in none of the outputs; auto: the operating points of the model.
        categories: only these names; None: all.
        limit: only the first so many files; None: all.
        batch_size: images at a time in the network.
        page: of TIFFs, from 0; or all.
        overwrite: replace what an earlier run left in the output folder.
    """

    save: object = DEFAULT_SAVE
    score_threshold: object = AUTO
    categories: Sequence[str] | None = None
    limit: int | None = None
    batch_size: int = 1
    page: Page = 0
    overwrite: bool = False


def write_predictions(
    predictor: Predictor,
    source: Source,
    output: Path,
    writers: Mapping[str, Writer],
    options: OutputOptions,
    *,
    identity: Mapping[str, object] | None = None,
    console: Console | None = None,
    image_folder: Path | None = None,
) -> PredictSummary:
    """Predict every image of the source and write the predictions into ``output``, in the chosen formats.

    Files are named relative to the source folder, or to the folder that all files have in common; images and labels
    keep its folders. Memory grows with the detections, not with the images. Ctrl-C writes what is there.

    Args:
        predictor: the loaded model.
        source: an image, a folder, a glob, a URL, or several of these.
        output: the folder that everything is written to.
        writers: name -> writer of every format there is.
        options: what to save, and of what.
        identity: plain containers that say what the model is, to stand beside its predictions.
        console: where the progress is shown.
        image_folder: that files are named relative to; None: as above.

    Returns:
        The counts of the run, the files that could not be read, and the exit code.

    Raises:
        InstsegError: before any work when the source has no image, a category or writer is not known, or ``output``
            holds an earlier run that may not be replaced; later when ``output`` cannot be written to.
    """
    chosen = {name: writers[name] for name in checked_names(options.save, writers)}
    known = [*(writer.writes for writer in writers.values()), DOWNLOADS, PAGES]
    writes = [*(writer.writes for writer in chosen.values()), *made_in(source, options.page)]
    folder = PredictionFolder(output, writes, known, options.overwrite)
    sources = find_sources(source, output, options.page, folder.contains, options.limit)
    root = image_folder or (common_folder(sources.paths) if sources.are_made else source_folder(source, sources.paths))
    thresholds = choose_thresholds(options.score_threshold, predictor.categories, predictor.operating_points)
    model = run_identity(identity or {}, predictor.categories, thresholds)
    run = PredictionRun(output.absolute(), root, predictor.categories, model)
    record = PredictionRecord(
        writes=folder.writes, save=list(chosen), image_folder=path_text(run.image_folder), model=model
    )
    images = _images(predictor, sources, run.image_folder, options, thresholds)
    threads, console = WriterThreads(run, list(chosen.values())), console or Console()
    print_start(console, model, predictor.network.device, thresholds)
    if sources.are_made:  # in the folder, which is emptied before
        folder.claim(record)
        sources.download()
    with progress_bar(console) as progress, threads:
        task = progress.add_task("predict", total=len(sources.paths))

        def show_progress() -> None:
            progress.update(task, completed=len(threads.images) + len(predictor.unreadable))

        if predictor.tiling is not None:
            predictor.on_tiles = TilesShown(predictor.tiling, predictor.resize, progress, task)
        interrupted = _write_images(images, threads, folder, record, show_progress)
    notes = note_on_pages(sources.paths) if options.page == 0 else []
    return _finish(threads, folder, record, predictor, interrupted, notes)


def _write_images(
    images: Iterable[LoadedImage],
    threads: WriterThreads,
    folder: PredictionFolder,
    record: PredictionRecord,
    show_progress: Callable[[], None],
) -> bool:
    """Hand every predicted image to the writers, and return True if Ctrl-C ended it early."""
    interrupted = False
    try:
        for image in images:
            if not threads.images:  # only now: the predictions of an earlier run are better than none
                folder.claim(record)
            threads.add(image)
            show_progress()
    except KeyboardInterrupt:
        interrupted = True
    show_progress()
    return interrupted


def run_identity(model: Mapping[str, object], categories: Categories, thresholds: Thresholds) -> dict[str, object]:
    """Return the model as plain containers, with the time and the score thresholds of a run.

    Args:
        model: what it was trained as, such as its checkpoint and epoch.
        categories: names of its labels.
        thresholds: instances below are left out.
    """
    return {
        **model,
        "instseg": __version__,
        "category_names": list(categories.names),  # another key would make other programs take it for COCO
        "score_threshold": thresholds.plain(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _images(
    predictor: Predictor, sources: Images, root: Path, options: OutputOptions, thresholds: Thresholds
) -> Iterator[LoadedImage]:
    """Return every readable image with those of its instances that are wanted."""
    names = select_names(predictor.categories.names, options.categories, "categories")
    wanted = [predictor.categories.label(name) for name in names]

    def is_wanted(found: Prediction) -> NDArray[np.bool_]:
        return thresholds.is_kept(found) & np.isin(found.labels, wanted)

    predictor.make, predicted = sources.make, predictor.predict_files(sources.paths, options.batch_size)
    return _predicted(predicted, sources.paths, root, is_wanted)


def _predicted(
    predicted: Iterable[tuple[Path, Decoded, Prediction]],
    paths: Sequence[Path],
    root: Path,
    is_wanted: Callable[[Prediction], NDArray[np.bool_]],
) -> Iterator[LoadedImage]:
    files = [Path(os.path.relpath(path, root)).as_posix() for path in paths]
    stems = unique_stems(files)
    for _, pixels, prediction in predicted:
        position = prediction.image_id - 1
        chosen = prediction.select(is_wanted(prediction))
        yield LoadedImage(PredictedImage(files[position], stems[position], chosen), pixels)


def _finish(
    threads: WriterThreads,
    folder: PredictionFolder,
    record: PredictionRecord,
    predictor: Predictor,
    interrupted: bool,
    notes: Sequence[str],
) -> PredictSummary:
    """Write the files of the whole run, unless no image could be read."""
    num_images = len(threads.images)
    found = Counter(predictor.categories.name(int(label)) for i in threads.images for label in i.prediction.labels)
    counts = dict(found.most_common())
    notes = [*notes, *(threads.finish() if num_images else [])]
    if predictor.tiling is None and predictor.advised is not None:
        sizes = [image.prediction.image_size for image in threads.images]
        notes += note_on_shrunk(predictor.advised, predictor.resize, sizes)
    if num_images:
        folder.update(
            msgspec.structs.replace(
                record,
                state="interrupted" if interrupted else "done",
                num_images=num_images,
                num_instances=counts,
                unreadable=[Unreadable(path_text(path), reason) for path, reason in predictor.unreadable],
            )
        )
    return PredictSummary(
        folder.path, num_images, counts, predictor.unreadable, interrupted, tuple(folder.writes), tuple(notes)
    )


def progress_bar(console: Console) -> Progress:
    """Return the bar of a pass over images."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)
