"""The tasks that Label Studio imports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from export_factories import CATEGORIES, IDENTITY, PIXEL, RING, TWO_PARTS, export, predicted

from instseg.core.categories import Categories
from instseg.core.masks import polygons_to_rle, rle_to_bitmask
from instseg.core.prediction_mark import labelstudio_digest
from instseg.prediction.writers.labelstudio import LabelStudio
from instseg.prediction.writers.writer import PredictionRun


def tasks(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "out/labelstudio/tasks.json").read_text())


def test_a_task_has_its_photo_and_one_prediction_of_polygons_in_percent(tmp_path):
    export(LabelStudio, tmp_path, {"more/a b.jpg": predicted(PIXEL)})
    (task,) = tasks(tmp_path)
    assert task["data"].pop("instseg_digest") == labelstudio_digest(task["predictions"][0]["result"])
    assert task["data"].pop("instseg_images") == str(tmp_path / "my photos")
    assert task["data"] == {"image": "/data/local-files/?d=my%20photos/more/a%20b.jpg"}
    assert task["meta"] == {"instseg": IDENTITY}
    (prediction,) = task["predictions"]
    assert prediction["model_version"] == "signs_r18fpn/2026-01-31_12-00-00 epoch 9"
    assert prediction["score"] == pytest.approx(0.9)
    (region,) = prediction["result"]
    value = region.pop("value")
    assert sorted(map(tuple, value.pop("points"))) == [(25, 33.3333), (25, 50), (37.5, 33.3333), (37.5, 50)]
    assert value == {"closed": True, "polygonlabels": ["car"]}
    assert region == {
        "id": "instance_1",
        "type": "polygonlabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": 8,
        "original_height": 6,
        "image_rotation": 0,
        "score": pytest.approx(0.9),
    }


@pytest.mark.parametrize("mask", [RING, TWO_PARTS, PIXEL], ids=["hole", "two parts", "one pixel"])
def test_an_instance_is_one_region_whatever_its_shape(tmp_path, mask):
    export(LabelStudio, tmp_path, {"a.jpg": predicted(mask)})
    (region,) = tasks(tmp_path)[0]["predictions"][0]["result"]
    points = np.array(region["value"]["points"]) / 100 * (8, 6)
    np.testing.assert_array_equal(rle_to_bitmask(polygons_to_rle([points], mask.shape)), mask)


def test_tasks_come_in_the_order_of_the_source_and_are_scored_by_the_mean(tmp_path):
    predictions = {f"{n}.jpg": predicted(*[PIXEL] * n, image_id=n) for n in (3, 1, 2)}
    export(LabelStudio, tmp_path, predictions)
    assert [(task["data"]["image"][-5:], round(task["predictions"][0]["score"], 4)) for task in tasks(tmp_path)] == [
        ("3.jpg", 0.8),
        ("1.jpg", 0.9),
        ("2.jpg", 0.85),
    ]


def test_a_photo_without_instances_is_a_task_without_prediction(tmp_path):
    export(LabelStudio, tmp_path, {"empty.jpg": predicted(), "b.jpg": predicted(np.zeros((6, 8), np.uint8))})
    assert [task["predictions"] for task in tasks(tmp_path)] == [[], []]


def test_the_setup_knows_the_names_that_the_regions_use(tmp_path):
    exported = export(LabelStudio, tmp_path, {"a.jpg": predicted(PIXEL)})
    (region,) = tasks(tmp_path)[0]["predictions"][0]["result"]
    view = ElementTree.parse(exported.path / "label_config.xml").getroot()
    labels, image = view.find("PolygonLabels"), view.find("Image")
    assert (labels.get("name"), labels.get("toName")) == (region["from_name"], region["to_name"])
    assert (image.get("name"), image.get("value")) == (region["to_name"], "$image")
    assert [label.get("value") for label in labels] == list(CATEGORIES.names)


def test_names_with_characters_of_xml_come_back(tmp_path):
    names = Categories(('<a & "b">', "c'd"))
    writer = LabelStudio()
    writer.start(PredictionRun(tmp_path, tmp_path, names, IDENTITY))
    writer.finish([])
    view = ElementTree.parse(tmp_path / "labelstudio/label_config.xml").getroot()
    assert [label.get("value") for label in view.find("PolygonLabels")] == list(names.names)


def test_the_way_into_label_studio_is_written_beside_with_its_paths(tmp_path):
    export(LabelStudio, tmp_path, {"a.jpg": predicted()})
    text = (tmp_path / "out/labelstudio/HOW_TO_IMPORT.txt").read_text()
    assert f"DOCUMENT_ROOT='{tmp_path}'" in text and f"\n     {tmp_path / 'my photos'}\n" in text
