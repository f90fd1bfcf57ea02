"""One file for the whole run: COCO json and CSV."""

from __future__ import annotations

import csv
import json

import numpy as np
from export_factories import IDENTITY, PIXEL, RING, TWO_PARTS, export, predicted
from pycocotools.coco import COCO

from instseg.prediction.writers.tables import CocoJson, CocoResults, Csv


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


def test_pycocotools_sees_results_by_the_area_of_their_masks(tmp_path):
    predictions = {"a.jpg": predicted(RING, TWO_PARTS, PIXEL), "empty.jpg": predicted(image_id=2)}
    truth = COCO(str(export(CocoJson, tmp_path, predictions).path))
    results = truth.loadRes(str(export(CocoResults, tmp_path / "other", predictions).path))
    assert [found["area"] for found in results.anns.values()] == [RING.sum(), TWO_PARTS.sum(), PIXEL.sum()]
    assert [found["score"] for found in results.anns.values()] == [found["score"] for found in truth.anns.values()]


def test_results_of_images_without_anything_are_an_empty_list(tmp_path):
    assert json.loads(export(CocoResults, tmp_path, {"a.jpg": predicted()}).path.read_text()) == []


def test_a_row_of_the_csv_is_an_instance(tmp_path):
    predictions = {"a.jpg": predicted(RING, PIXEL), "empty.jpg": predicted(image_id=2)}
    with export(Csv, tmp_path, predictions).path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["category"], row["mask_area_px"]) for row in rows] == [
        ("a.jpg", "car", "10"),
        ("a.jpg", "traffic sign", "1"),
    ]
