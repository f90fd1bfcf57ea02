"""Ultralytics YOLO segmentation: a folder that trains as it is. Its labels have no scores, a table beside them has."""

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
from instseg.core.masks import rle_area
from instseg.core.polygons import join_polygons
from instseg.prediction.writers.predicted_image import Export, Picture, PredictedPhoto

SCORE_COLUMNS = ("image", "line", "category", "score")


class Yolo(Export):
    """``images/`` (links to the photos), ``labels/``, ``data.yaml`` and ``scores.csv``.

    A label is one line an instance, ``class x y x y …`` relative to the photo, parts and holes joined by seams, in
    the order of the scores; the file is empty where nothing was found. Ultralytics finds the label of a photo by
    writing ``labels`` for ``images`` in its path, so the photos must be seen to lie here.
    """

    writes = "yolo"

    def add(self, picture: Picture) -> None:
        name = _without_folders_of_that_name(picture.photo.stem)
        size = picture.prediction.image_size[::-1]
        lines = []
        for label, polygons in zip(picture.prediction.labels, picture.polygons, strict=True):
            if polygons:
                relative = np.clip(join_polygons(polygons) / size, 0, 1).reshape(-1)
                lines.append(f"{int(label) - 1} " + " ".join(f"{value:.6f}" for value in relative) + "\n")
        with replacing(self.folder / "labels" / f"{name}.txt") as scratch:
            scratch.write_text("".join(lines), "utf-8")
        photo = self.run.image_folder / picture.photo.file
        _link(photo, self.folder / "images" / f"{name}{photo.suffix}")

    def finish(self, photos: Sequence[PredictedPhoto]) -> None:
        names = dict(enumerate(self.run.categories.names))
        content = {"train": "images", "val": "images", "names": names, "instseg": dict(self.run.identity)}
        text = "# Predictions that nobody has corrected yet. There is no split: let val name other images.\n"
        write_text_atomically(self.folder / "data.yaml", text + yaml.safe_dump(content, sort_keys=False))
        with (
            replacing(self.folder / "scores.csv") as scratch,
            scratch.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            table = csv.writer(file)
            table.writerow(SCORE_COLUMNS)
            for photo in photos:
                table.writerows(self._scores(photo))

    def _scores(self, photo: PredictedPhoto) -> Iterator[tuple[str, int, str, float]]:
        """Of every line of a label; an instance whose mask is empty has none."""
        found = photo.prediction
        image = _without_folders_of_that_name(photo.stem) + PurePosixPath(photo.file).suffix
        drawn = [index for index, rle in enumerate(found.rles) if rle_area(rle) > 0]
        for line, index in enumerate(drawn, start=1):
            category = self.run.categories.name(int(found.labels[index]))
            yield image, line, category, round(float(found.scores[index]), 6)


def _without_folders_of_that_name(stem: str) -> str:
    """A folder of the photos that is itself called images would be the one that Ultralytics takes for its own."""
    *folders, name = PurePosixPath(stem).parts
    return "/".join([*(f"{folder}_" if folder == "images" else folder for folder in folders), name])


def _link(photo: Path, link: Path) -> None:
    """A symbolic link, else another name of the same file, else a copy, where the system allows no better."""
    link.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        link.symlink_to(photo.resolve())
        return
    with contextlib.suppress(OSError):
        os.link(photo, link)
        return
    shutil.copyfile(photo, link)
