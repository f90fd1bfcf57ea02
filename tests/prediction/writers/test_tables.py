"""One file for the whole run: COCO json and CSV."""

from __future__ import annotations

import csv

import numpy as np
from export_factories import IDENTITY, PIXEL, RING, TWO_PARTS, export, predicted
from pycocotools.coco import COCO

from instseg.prediction.writers.tables import CocoJson, Csv


def test_the_json_is_a_coco_data_set_with_scores_that_names_photos_and_model(tmp_path):
    predictions = {"a.jpg": predicted(RING, TWO_PARTS), "more/empty.jpg": predicted(image_id=2)}
    coco = COCO(str(export(CocoJson, tmp_path, predictions).path))
    assert [image["file_name"] for image in coco.imgs.values()] == ["a.jpg", "more/empty.jpg"]
    assert coco.dataset["info"]["image_folder"] == str(tmp_path / "my photos")
    assert coco.dataset["info"]["model"] == IDENTITY
    ring, parts = coco.loadAnns(coco.getAnnIds(imgIds=1))
    assert (ring["score"], parts["category_id"]) == (0.9, 2)
    np.testing.assert_array_equal(coco.annToMask(ring), RING)
    np.testing.assert_array_equal(coco.annToMask(parts), TWO_PARTS)
    assert len(coco.loadRes(coco.dataset["annotations"]).anns) == 2


def test_a_row_of_the_csv_is_an_instance(tmp_path):
    predictions = {"a.jpg": predicted(RING, PIXEL), "empty.jpg": predicted(image_id=2)}
    with export(Csv, tmp_path, predictions).path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["category"], row["mask_area_px"]) for row in rows] == [
        ("a.jpg", "car", "10"),
        ("a.jpg", "traffic sign", "1"),
    ]
