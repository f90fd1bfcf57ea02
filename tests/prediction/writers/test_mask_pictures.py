"""Masks in PNG files: what every pixel value means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_factories import PIXEL, RING, SIZE, TWO_PARTS, export, predicted
from factories import drawn
from PIL import Image as PilImage

from instseg.prediction.writers.mask_pictures import BinaryMasks, ColouredMasks, Masks

TOP_LEFT, MIDDLE = drawn("####....", "####....", *4 * ["........"]), drawn("..####..", *5 * ["........"])


def masks_json(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "out/masks/masks.json").read_text())


def test_pixel_value_k_is_instance_k_and_the_json_names_it(tmp_path):
    export(Masks, tmp_path, {"more/a.jpg": predicted(RING, TWO_PARTS, PIXEL)})
    with PilImage.open(tmp_path / "out/masks/more/a.png") as picture:
        assert (picture.mode, picture.size) == ("P", SIZE[::-1])
        np.testing.assert_array_equal(np.asarray(picture), RING + 2 * TWO_PARTS + 3 * PIXEL)
    described = masks_json(tmp_path)
    assert described["image_folder"] == str(tmp_path / "my photos")
    assert described["images"]["more/a.jpg"] == {
        "mask": "more/a.png",
        "instances": [
            {"value": 1, "category": "car", "score": pytest.approx(0.9)},
            {"value": 2, "category": "traffic sign", "score": pytest.approx(0.8)},
            {"value": 3, "category": "cake", "score": pytest.approx(0.7)},
        ],
    }


def test_the_better_score_lies_on_top_and_who_is_covered_is_not_named(tmp_path):
    hidden = drawn("..##....", *5 * ["........"])
    export(Masks, tmp_path, {"a.png": predicted(TOP_LEFT, MIDDLE, hidden)})
    values = np.asarray(PilImage.open(tmp_path / "out/masks/a.png"))
    np.testing.assert_array_equal(values[0], [1, 1, 1, 1, 2, 2, 0, 0])
    assert [i["value"] for i in masks_json(tmp_path)["images"]["a.png"]["instances"]] == [1, 2]


def test_every_value_is_seen_in_a_colour_of_its_own_the_same_in_masks_and_rgb(tmp_path):
    prediction = {"a.png": predicted(RING, TWO_PARTS, PIXEL)}
    export(Masks, tmp_path, prediction)
    export(ColouredMasks, tmp_path, prediction)
    shown = np.asarray(PilImage.open(tmp_path / "out/masks/a.png").convert("RGB"))
    coloured = PilImage.open(tmp_path / "out/rgb/a.png")
    assert coloured.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(coloured), shown)
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 4  # and black
    assert not shown[0, 0].any()


def test_more_than_255_instances_take_16_bits_and_are_noted(tmp_path):
    masks = [np.zeros((20, 20), np.uint8) for _ in range(300)]
    for position, mask in enumerate(masks):
        mask.flat[position] = 1
    prediction = {"a.png": predicted(*masks, scores=np.linspace(1, 0.5, 300).tolist()), "b.png": predicted(masks[0])}
    exported = export(Masks, tmp_path, prediction)
    with PilImage.open(tmp_path / "out/masks/a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture).reshape(-1)[:301], [*range(1, 301), 0])
    assert len(masks_json(tmp_path)["images"]["a.png"]["instances"]) == 300
    assert exported.notes == ["16-bit gray, no colours: 1 mask of more than 255 instances"]
    export(ColouredMasks, tmp_path, prediction)
    assert PilImage.open(tmp_path / "out/rgb/a.png").getpixel((19, 14)) != (0, 0, 0)


def test_binary_is_white_wherever_anything_is(tmp_path):
    export(BinaryMasks, tmp_path, {"a.png": predicted(RING, TWO_PARTS)})
    with PilImage.open(tmp_path / "out/binary/a.png") as picture:
        assert picture.mode == "L"
        np.testing.assert_array_equal(np.asarray(picture), np.maximum(RING, TWO_PARTS) * 255)


def test_a_photo_without_instances_gets_black_pictures_and_an_entry(tmp_path):
    for kind in (Masks, BinaryMasks, ColouredMasks):
        exported = export(kind, tmp_path, {"empty.png": predicted()})
        with PilImage.open(exported.path / "empty.png") as picture:
            assert picture.size == SIZE[::-1]
            assert not np.asarray(picture).any()
    assert masks_json(tmp_path)["images"]["empty.png"] == {"mask": "empty.png", "instances": []}
