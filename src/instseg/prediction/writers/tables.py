"""All predictions of a run in one file: COCO json, and CSV."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

from instseg.core.atomic import replacing
from instseg.core.channels import csv_cell
from instseg.core.coco_json import CSV_COLUMNS, prediction_rows, predictions_to_coco
from instseg.core.files import write_json
from instseg.core.prediction_mark import coco_digest
from instseg.core.types import CocoDict
from instseg.prediction.writers.predicted_image import PredictedImage
from instseg.prediction.writers.writer import Writer

OF_RESULTS = ("image_id", "category_id", "segmentation", "score")


class CocoJson(Writer):
    """Writer of a COCO dataset, to train on or to open in other tools."""

    writes = "predictions.json"

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write the dataset."""
        names = {image.prediction.image_id: image.file for image in images}
        coco = predictions_to_coco([image.prediction for image in images], names, self.run.categories)
        origin = {"image_folder": str(self.run.image_folder), "model": dict(self.run.identity)}
        coco["info"] = {**coco["info"], **origin}
        mark_images(coco)
        write_json(self.path, coco)


def mark_images(coco: CocoDict) -> None:
    """Add to every image of a COCO dataset the digest of its annotations."""
    names = {category["id"]: category["name"] for category in coco["categories"]}
    found: defaultdict[int, list[tuple[str, object]]] = defaultdict(list)
    for annotation in coco["annotations"]:
        found[annotation["image_id"]].append((names[annotation["category_id"]], annotation["segmentation"]))
    for image in coco["images"]:
        image["instseg_digest"] = coco_digest(found[image["id"]])


class CocoResults(Writer):
    """Writer of COCO results for ``COCO(labels).loadRes(file)``, which tells sizes by the area of the masks.

    Without boxes: where a result has one, pycocotools takes the area of the box for the size of the mask.
    """

    writes = "results.json"

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write the list of results."""
        names = {image.prediction.image_id: image.file for image in images}
        coco = predictions_to_coco([image.prediction for image in images], names, self.run.categories)
        results = [{key: entry for key, entry in found.items() if key in OF_RESULTS} for found in coco["annotations"]]
        write_json(self.path, results)


class Csv(Writer):
    """Writer of one row for each instance: file, category, score, box and mask area in px."""

    writes = "predictions.csv"

    def finish(self, images: Sequence[PredictedImage]) -> None:
        """Write the table."""
        rows = (prediction_rows(image.prediction, image.file, self.run.categories) for image in images)
        write_rows(self.path, CSV_COLUMNS, chain.from_iterable(rows))


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a CSV atomically, with cells that no spreadsheet computes.

    Args:
        path: the file.
        columns: names of the columns.
        rows: a value for each column.
    """
    with (
        replacing(path) as scratch,
        scratch.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows({key: csv_cell(value) for key, value in row.items()} for row in rows)
