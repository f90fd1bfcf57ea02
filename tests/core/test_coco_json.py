"""What is written is what pycocotools reads."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from instseg.core.categories import Categories
from instseg.core.coco_json import CSV_COLUMNS, prediction_rows, predictions_to_coco
from instseg.core.files import write_json
from instseg.core.masks import bitmask_to_rle, rle_to_bitmask
from instseg.core.types import Prediction, Rle

CATEGORIES = Categories(("cat", "dög"))
SIZE = (40, 60)


def rectangle(x1: int, y1: int, x2: int, y2: int) -> Rle:
    mask = np.zeros(SIZE, np.uint8)
    mask[y1:y2, x1:x2] = 1
    return bitmask_to_rle(mask)


BOXES = np.array([[10, 5, 30, 25], [35, 0, 60, 40]], np.float32)
RLES = [rectangle(10, 5, 30, 25), rectangle(35, 0, 60, 40)]
FILE_NAMES = {7: "a/photo.jpg", 8: "empty.jpg"}


def two_predictions() -> list[Prediction]:
    found = Prediction(7, SIZE, BOXES, np.array([2, 1]), np.array([0.98765432, 0.5], np.float32), RLES)
    nothing = Prediction(8, SIZE, np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32), [])
    return [found, nothing]


def perfect_truth() -> dict[str, Any]:
    """A COCO data set in which both predictions are right, the second being a crowd."""
    boxes = [[10, 5, 20, 20], [35, 0, 25, 40]]
    return {
        "images": [{"id": number, "file_name": name, "height": 40, "width": 60} for number, name in FILE_NAMES.items()],
        "categories": CATEGORIES.to_coco(),
        "annotations": [
            {"id": 1 + i, "image_id": 7, "category_id": 2 - i, "bbox": box, "area": box[2] * box[3], "iscrowd": i,
             "segmentation": {**RLES[i], "counts": RLES[i]["counts"].decode()}}
            for i, box in enumerate(boxes)
        ],
    }  # fmt: skip


def test_predictions_can_be_read_alone_as_a_coco_data_set(tmp_path):
    write_json(tmp_path / "predictions.json", predictions_to_coco(two_predictions(), FILE_NAMES, CATEGORIES))
    coco = COCO(str(tmp_path / "predictions.json"))
    assert coco.imgs[7] == {"id": 7, "file_name": "a/photo.jpg", "height": 40, "width": 60}
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["cat", "dög"]
    assert coco.getAnnIds(imgIds=8) == []
    (dog,) = coco.loadAnns(coco.getAnnIds(catIds=[2]))
    assert (dog["bbox"], dog["area"], dog["score"]) == ([10, 5, 20, 20], 400, 0.987654)
    np.testing.assert_array_equal(coco.annToMask(dog), rle_to_bitmask(RLES[0]))


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_the_annotations_are_coco_results_and_perfect_ones_score_one(tmp_path, kind):
    write_json(tmp_path / "truth.json", perfect_truth())
    truth = COCO(str(tmp_path / "truth.json"))
    results = predictions_to_coco(two_predictions(), FILE_NAMES, CATEGORIES)["annotations"]
    evaluation = COCOeval(truth, truth.loadRes(json.loads(json.dumps(results))), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)  # the crowd is ignored, not missed


def test_category_ids_of_another_json_can_be_used():
    coco = predictions_to_coco(two_predictions(), FILE_NAMES, CATEGORIES, category_ids={1: 17, 2: 18})
    assert [a["category_id"] for a in coco["annotations"]] == [18, 17]
    assert coco["categories"] == [{"id": 17, "name": "cat"}, {"id": 18, "name": "dög"}]


def test_rows_name_the_file_the_category_and_pixels():
    (row, _) = prediction_rows(two_predictions()[0], "a/photo.jpg", CATEGORIES)
    assert tuple(row) == CSV_COLUMNS
    assert list(row.values()) == ["a/photo.jpg", 60, 40, "dög", 0.987654, 10.0, 5.0, 30.0, 25.0, 400]


def test_json_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new folder" / "a.json"
    write_json(path, {"first": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"score": float("nan")})
    assert json.loads(path.read_text()) == {"first": 1}
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]
