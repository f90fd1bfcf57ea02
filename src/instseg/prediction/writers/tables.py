"""All predictions of a run in one file: COCO json, and CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from instseg.core.atomic import replacing
from instseg.core.coco_json import CSV_COLUMNS, prediction_rows, predictions_to_coco
from instseg.core.files import write_json
from instseg.prediction.writers.predicted_image import Export, PredictedPhoto


class CocoJson(Export):
    """A COCO data set of the photos, to train on or to open in other tools; its annotations are COCO results."""

    writes = "predictions.json"

    def finish(self, photos: Sequence[PredictedPhoto]) -> None:
        names = {photo.prediction.image_id: photo.file for photo in photos}
        coco = predictions_to_coco([photo.prediction for photo in photos], names, self.run.categories)
        coco["info"] |= {"image_folder": str(self.run.image_folder), "model": dict(self.run.identity)}
        write_json(self.folder, coco)


class Csv(Export):
    """One row an instance: file, category, score, box and mask area in px."""

    writes = "predictions.csv"

    def finish(self, photos: Sequence[PredictedPhoto]) -> None:
        with (
            replacing(self.folder) as scratch,
            scratch.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            table = csv.DictWriter(file, CSV_COLUMNS)
            table.writeheader()
            for photo in photos:
                table.writerows(prediction_rows(photo.prediction, photo.file, self.run.categories))
