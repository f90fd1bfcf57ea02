"""The json that LabelMe opens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_factories import IDENTITY, PIXEL, RING, TWO_PARTS, export, predicted

from instseg.core.masks import polygons_to_rle, rle_to_bitmask
from instseg.core.prediction_mark import labelme_digest
from instseg.prediction.writers.labelme import LabelMe


def written(folder: Path, file: str) -> dict[str, Any]:
    return json.loads((folder / "out/labelme" / file).read_text())


def test_a_json_has_what_labelme_asks_for_and_says_which_model_it_was(tmp_path):
    export(LabelMe, tmp_path, {"a.jpg": predicted(PIXEL)})
    content = written(tmp_path, "a.json")
    (shape,) = content.pop("shapes")
    assert content.pop("instseg_digest") == labelme_digest([shape])
    assert content == {
        "version": "5.5.0",
        "flags": {"checked": False},  # a box to tick where the prediction is right as it is
        "imagePath": "../../my photos/a.jpg",
        "imageData": None,
        "imageHeight": 6,
        "imageWidth": 8,
        "instseg": IDENTITY,
    }
    assert sorted(map(tuple, shape.pop("points"))) == [(2, 2), (2, 3), (3, 2), (3, 3)]
    assert shape == {
        "label": "car",
        "group_id": None,
        "description": "score 0.90",
        "shape_type": "polygon",
        "flags": {},
        "score": pytest.approx(0.9),
    }


def test_the_image_path_leads_from_the_json_to_the_photo_through_folders(tmp_path):
    export(LabelMe, tmp_path, {"more/deep/a.jpg": predicted(PIXEL)})
    json_path = tmp_path / "out/labelme/more/deep/a.json"
    image_path = json.loads(json_path.read_text())["imagePath"]
    assert image_path == "../../../../my photos/more/deep/a.jpg"
    assert (json_path.parent / image_path).resolve() == (tmp_path / "my photos/more/deep/a.jpg").resolve()


def test_parts_of_an_instance_share_a_group_and_single_ones_have_none(tmp_path):
    export(LabelMe, tmp_path, {"a.jpg": predicted(RING, TWO_PARTS)})
    shapes = written(tmp_path, "a.json")["shapes"]
    assert [(shape["label"], shape["group_id"]) for shape in shapes] == [
        ("car", None),
        ("traffic sign", 2),
        ("traffic sign", 2),
    ]


@pytest.mark.parametrize("mask", [RING, TWO_PARTS, PIXEL], ids=["hole", "two parts", "one pixel"])
def test_the_polygons_drawn_again_are_the_mask(tmp_path, mask):
    export(LabelMe, tmp_path, {"a.jpg": predicted(mask)})
    polygons = [np.array(shape["points"]) for shape in written(tmp_path, "a.json")["shapes"]]
    np.testing.assert_array_equal(rle_to_bitmask(polygons_to_rle(polygons, mask.shape)), mask)


def test_a_photo_without_instances_gets_a_json_without_shapes(tmp_path):
    export(LabelMe, tmp_path, {"empty.jpg": predicted()})
    content = written(tmp_path, "empty.json")
    assert content["shapes"] == [] and (content["imageHeight"], content["imageWidth"]) == (6, 8)


def test_photos_of_the_same_stem_get_a_json_each(tmp_path):
    export(LabelMe, tmp_path, {"a.jpg": predicted(PIXEL), "a.png": predicted(RING)})
    assert written(tmp_path, "a.json")["imagePath"].endswith("/a.jpg")
    assert written(tmp_path, "a.png.json")["imagePath"].endswith("/a.png")
