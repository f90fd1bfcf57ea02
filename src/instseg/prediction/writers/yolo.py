"""Ultralytics YOLO segmentation: a folder ready for training, and a table of the scores, which its labels lack."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from instseg.core.atomic import replacing, write_text_atomically
from instseg.core.channels import csv_cell
from instseg.core.masks import rle_area
from instseg.core.polygons import join_polygons
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage
from instseg.prediction.writers.writer import Writer

SCORE_COLUMNS = ("image", "line", "category", "score")


class Yolo(Writer):
    """Writer of ``images/`` (links to the images), ``labels/``, ``data.yaml`` and ``scores.csv``.

    A label has one line for each instance, ``class x y x y …`` relative to the image, parts and holes joined by seams,
    in the order of the scores; an image without instances has an empty file. Ultralytics finds the label of an image by
    replacing ``images`` with ``labels`` in its path, so the images must have a path here.
    """

    writes = "yolo"

    def add(self, image: LoadedImage) -> None:
        """Write the label of an image, and link the image."""
        name = _without_folders_of_that_name(image.stem)
        size = image.prediction.image_size[::-1]
        lines = []
        for label, polygons in zip(image.prediction.labels, image.polygons, strict=True):
            if polygons:
                relative = np.clip(join_polygons(polygons) / size, 0, 1).reshape(-1)
                lines.append(f"{int(label) - 1} " + " ".join(f"{value:.6f}" for value in relative) + "\n")
        with replacing(self.path / "labels" / f"{name}.txt") as scratch:
            scratch.write_text("".join(lines), "utf-8")
        file = self.run.image_folder / image.file
        _link(file, self.path / "images" / f"{name}{file.suffix}")

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write ``data.yaml`` and the table of the scores."""
        names = dict(enumerate(self.run.categories.names))
        content = {"train": "images", "val": "images", "names": names, "instseg": dict(self.run.identity)}
        text = "# Predictions that nobody has corrected yet. There is no split: let val name other images.\n"
        write_text_atomically(self.path / "data.yaml", text + yaml.safe_dump(content, sort_keys=False))
        with (
            replacing(self.path / "scores.csv") as scratch,
            scratch.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            table = csv.writer(file)
            table.writerow(SCORE_COLUMNS)
            for image in images:
                table.writerows(self._scores(image))

    def _scores(self, image: PredictedImage) -> Iterator[tuple[str, int, str, float]]:
        """Yield a row for each line of a label; an instance whose mask is empty has none."""
        found = image.prediction
        file = _without_folders_of_that_name(image.stem) + PurePosixPath(image.file).suffix
        drawn = [index for index, rle in enumerate(found.rles) if rle_area(rle) > 0]
        for line, index in enumerate(drawn, start=1):
            category = self.run.categories.name(int(found.labels[index]))
            yield str(csv_cell(file)), line, str(csv_cell(category)), round(float(found.scores[index]), 6)


def _without_folders_of_that_name(stem: str) -> str:
    """Rename folders of the source that are called images: Ultralytics would take one of these for its own."""
    *folders, name = PurePosixPath(stem).parts
    return "/".join([*(f"{folder}_" if folder == "images" else folder for folder in folders), name])


def _link(file: Path, link: Path) -> None:
    """Make a symbolic link, else a hard link, else a copy, whichever the system allows first."""
    link.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        link.symlink_to(file.resolve())
        return
    with contextlib.suppress(OSError):
        os.link(file, link)
        return
    shutil.copyfile(file, link)
