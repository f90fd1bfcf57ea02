"""What ``predict.py`` leaves behind: overlays, COCO json, CSV, and a summary on the screen."""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from instseg.atomic import replacing
from instseg.categories import Categories, select_names
from instseg.coco_format import CSV_COLUMNS, prediction_rows, predictions_to_coco, write_json
from instseg.data.images import Source, find_images
from instseg.errors import InstsegError
from instseg.predictor import Predictor
from instseg.sheets import write_image
from instseg.types import Image, Prediction
from instseg.visualize import draw_prediction

OVERLAYS, JSON, CSV = "overlays", "predictions.json", "predictions.csv"
MAX_JPEG_SIDE_PX = 65_000
NUM_UNREADABLE_SHOWN = NUM_CATEGORIES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class PredictSummary:
    """What came of a source."""

    output: Path
    num_images: int  # predicted
    num_instances: dict[str, int]  # category name -> count, most first
    unreadable: list[tuple[Path, str]]  # file, reason
    interrupted: bool

    @property
    def exit_code(self) -> int:
        """0 all done, 2 some files could not be read, 1 none could, 130 interrupted by Ctrl-C."""
        if self.interrupted:
            return 130
        if not self.unreadable:
            return 0
        return 2 if self.num_images else 1

    def print(self, console: Console) -> None:
        """Counts, the files that could not be read, and where everything lies."""
        if self.interrupted:
            console.print("[yellow]interrupted:[/] what follows covers the images done before")
        if self.unreadable:
            console.print(f"[red]{len(self.unreadable)} of {self.num_images + len(self.unreadable)} not readable:[/]")
        for path, reason in self.unreadable[:NUM_UNREADABLE_SHOWN]:
            console.print(f"  {escape(str(path))}: {escape(reason)}", highlight=False, soft_wrap=True)
        if len(self.unreadable) > NUM_UNREADABLE_SHOWN:
            console.print(f"  … and {len(self.unreadable) - NUM_UNREADABLE_SHOWN} more")
        if self.num_images:
            console.print(self._table())
            for name in (OVERLAYS, JSON, CSV):
                console.print(f"{name + ':':<18}{escape(str(self.output / name))}", highlight=False, soft_wrap=True)

    def _table(self) -> Table:
        images = "1 image" if self.num_images == 1 else f"{self.num_images} images"
        if not self.num_instances:
            return Table(title=f"{images}, nothing found; a lower score_threshold shows more", title_justify="left")
        table = Table(title=images, title_justify="left")
        table.add_column("category")
        table.add_column("instances", justify="right")
        for name, count in list(self.num_instances.items())[:NUM_CATEGORIES_SHOWN]:
            table.add_row(escape(name), str(count))
        if (num_more := len(self.num_instances) - NUM_CATEGORIES_SHOWN) > 0:
            rest = list(self.num_instances.values())[NUM_CATEGORIES_SHOWN:]
            table.add_row(f"… {num_more} more", str(sum(rest)))
        table.add_section()
        table.add_row("all", str(sum(self.num_instances.values())))
        return table


def write_predictions(
    predictor: Predictor,
    source: Source,
    output: Path,
    *,
    score_threshold: float = 0.5,
    categories: Sequence[str] | None = None,
    limit: int | None = None,
    batch_size: int = 1,
    overwrite: bool = False,
    console: Console | None = None,
) -> PredictSummary:
    """Predict every image of the source and write ``overlays/``, ``predictions.json`` and ``predictions.csv``.

    Overlays keep the folders of the source. Files are named relative to the source folder, or to the folder that all
    files have in common. Memory grows with the detections, not with the images. Ctrl-C writes what is there.

    Args:
        score_threshold: instances below are in none of the outputs.
        categories: only these names; None: all.
        limit: only the first so many files.
        overwrite: replace what an earlier run left in ``output``.

    Raises:
        InstsegError: before any work when the source has no image, a category is not known, or ``output`` holds an
            earlier run and ``overwrite`` is false.
    """
    paths = _sources(source, output, limit)
    wanted = _wanted_labels(predictor.categories, categories)
    _make_room(output, overwrite)
    root = _root(source, paths)
    files = [Path(os.path.relpath(path, root)).as_posix() for path in paths]
    kept: list[Prediction] = []
    interrupted = False
    with (
        _progress(console or Console()) as progress,
        _OverlayWriter(predictor.categories, score_threshold) as overlays,
    ):
        task = progress.add_task("predict", total=len(paths))
        names = overlay_names(files)
        try:
            for _, image, prediction in predictor.predict_files(paths, batch_size):
                chosen = (prediction.scores >= score_threshold) & np.isin(prediction.labels, wanted)
                kept.append(prediction.select(chosen))
                overlays.write(output / OVERLAYS / names[prediction.image_id - 1], image, kept[-1])
                progress.update(task, completed=len(kept) + len(predictor.unreadable))
        except KeyboardInterrupt:
            interrupted = True
        progress.update(task, completed=len(kept) + len(predictor.unreadable))
    if kept:
        _write_files(output, kept, dict(enumerate(files, start=1)), predictor, root)
    counts = Counter(predictor.categories.name(int(label)) for p in kept for label in p.labels)
    return PredictSummary(output, len(kept), dict(counts.most_common()), predictor.unreadable, interrupted)


def _sources(source: Source, output: Path, limit: int | None) -> list[Path]:
    """Never the overlays of an earlier run, should ``output`` lie inside the source."""
    if limit is not None and limit < 1:
        raise InstsegError(f"limit: expected at least 1 (or null for all), found {limit}")
    own = (output / OVERLAYS).absolute()
    paths = [path for path in find_images(source) if own not in path.absolute().parents]
    if not paths:
        raise InstsegError(f"source {source}: holds only overlays that an earlier run wrote")
    return paths[:limit]


def _wanted_labels(available: Categories, wanted: Sequence[str] | None) -> NDArray[np.int64]:
    names = select_names(available.names, wanted, "categories")
    return np.array([available.label(name) for name in names], np.int64)


def _make_room(output: Path, overwrite: bool) -> None:
    """Two runs never mix: refuse, or remove exactly what an earlier run wrote."""
    earlier = [output / name for name in (OVERLAYS, JSON, CSV) if (output / name).exists()]
    if earlier and not overwrite:
        raise InstsegError(
            f"output={output} holds the predictions of an earlier run ({', '.join(path.name for path in earlier)}): "
            "choose another folder, or replace them with overwrite=true"
        )
    if earlier and not (output / JSON).exists():
        raise InstsegError(
            f"output={output} has {', '.join(path.name for path in earlier)} but no {JSON}: left by a run that was "
            "killed, or not by this program; remove it yourself or choose another folder"
        )
    for path in earlier:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _root(source: Source, paths: Sequence[Path]) -> Path:
    """The folder that files are named relative to."""
    entries = [source] if isinstance(source, str | Path) else list(source)
    if len(entries) == 1 and (folder := Path(entries[0]).expanduser()).is_dir():
        return folder.absolute()
    return Path(os.path.commonpath([path.absolute().parent for path in paths]))


def overlay_names(files: Sequence[str]) -> list[str]:
    """``a/b.png`` -> ``a/b.jpg``, or ``a/b.png.jpg`` where another file of the list already took that name."""
    taken: set[str] = set()
    names = []
    for file in files:
        name, longer = str(Path(file).with_suffix(".jpg")), file
        while name.casefold() in taken:
            name = longer = f"{longer}.jpg"
        taken.add(name.casefold())
        names.append(name)
    return names


class _OverlayWriter:
    """Draws and encodes in two threads beside the network; at most a few pictures wait."""

    def __init__(self, categories: Categories, score_threshold: float) -> None:
        self.categories, self.score_threshold = categories, score_threshold
        self.pool = ThreadPoolExecutor(2)
        self.waiting: deque[Future[None]] = deque()

    def __enter__(self) -> _OverlayWriter:
        return self

    def write(self, path: Path, image: Image, prediction: Prediction) -> None:
        self.waiting.append(self.pool.submit(self._draw_and_write, path, image, prediction))
        while len(self.waiting) > 4:
            self.waiting.popleft().result()  # raises what went wrong, such as a full disk

    def _draw_and_write(self, path: Path, image: Image, prediction: Prediction) -> None:
        picture = draw_prediction(image, prediction, self.categories, self.score_threshold)
        write_image(path.with_suffix(".png") if max(picture.shape) > MAX_JPEG_SIDE_PX else path, picture)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for future in self.waiting:
                future.result()


def _write_files(
    output: Path, predictions: Sequence[Prediction], file_names: dict[int, str], predictor: Predictor, root: Path
) -> None:
    coco = predictions_to_coco(predictions, file_names, predictor.categories)
    coco["info"]["image_folder"] = str(root)
    coco["info"]["unreadable"] = [{"file": str(path), "reason": reason} for path, reason in predictor.unreadable]
    write_json(output / JSON, coco)
    with replacing(output / CSV) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, CSV_COLUMNS)
        table.writeheader()
        for prediction in predictions:
            table.writerows(prediction_rows(prediction, file_names[prediction.image_id], predictor.categories))


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)
