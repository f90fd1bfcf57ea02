"""A folder that Ultralytics trains on."""

from __future__ import annotations

import csv
import os

import numpy as np
import pytest
import yaml
from export_factories import IDENTITY, PIXEL, RING, TWO_PARTS, export, predicted
from factories import make_picture
from PIL import Image as PilImage

from instseg.core.masks import polygons_to_rle, rle_to_bitmask
from instseg.prediction.writers import yolo
from instseg.prediction.writers.yolo import Yolo


def label_of(image: str) -> str:
    """How Ultralytics goes from the path of a photo to that of its label."""
    return "/labels/".join(image.rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt"


def lines(path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def test_a_line_is_a_class_from_zero_and_a_polygon_relative_to_the_photo(tmp_path):
    exported = export(Yolo, tmp_path, {"a.jpg": predicted(PIXEL, labels=[2])})
    ((number, *values),) = lines(exported.path / "labels/a.txt")
    points = np.array(values, float).reshape(-1, 2)
    assert number == "1"
    assert sorted(map(tuple, points)) == [(0.25, 0.333333), (0.25, 0.5), (0.375, 0.333333), (0.375, 0.5)]


@pytest.mark.parametrize("mask", [RING, TWO_PARTS, PIXEL], ids=["hole", "two parts", "one pixel"])
def test_an_instance_is_one_line_whatever_its_shape(tmp_path, mask):
    exported = export(Yolo, tmp_path, {"a.jpg": predicted(mask)})
    ((_, *values),) = lines(exported.path / "labels/a.txt")
    points = np.array(values, float).reshape(-1, 2) * (8, 6)
    np.testing.assert_array_equal(rle_to_bitmask(polygons_to_rle([points], mask.shape)), mask)


def test_every_photo_lies_where_its_label_is_looked_for_with_its_own_pixels(tmp_path):
    files = ["a.png", "a.jpg", "more/a.png", "images/b.png", "empty.png"]
    exported = export(Yolo, tmp_path, {file: predicted(*([PIXEL] if "empty" not in file else [])) for file in files})
    images = sorted(path.as_posix() for path in (exported.path / "images").rglob("*.*"))
    assert len(images) == len(files)
    assert all(os.path.isfile(label_of(image)) for image in images)  # noqa: PTH113
    assert len({label_of(image) for image in images}) == len(files)
    np.testing.assert_array_equal(np.asarray(PilImage.open(exported.path / "images/more/a.png")), make_picture((6, 8)))
    assert (exported.path / "labels/empty.txt").read_text() == ""


def test_data_yaml_has_what_ultralytics_asks_for_and_says_which_model_it_was(tmp_path):
    exported = export(Yolo, tmp_path, {"a.jpg": predicted(PIXEL)})
    content = yaml.safe_load((exported.path / "data.yaml").read_text())
    assert content["names"] == {0: "car", 1: "traffic sign", 2: "cake"}
    assert (exported.path / content["train"]).is_dir() and (exported.path / content["val"]).is_dir()
    assert content["instseg"] == IDENTITY


def test_scores_stand_beside_by_line_and_instances_without_mask_have_neither(tmp_path):
    empty = np.zeros((6, 8), np.uint8)
    exported = export(Yolo, tmp_path, {"more/a.jpg": predicted(RING, empty, PIXEL), "b.png": predicted()})
    with (exported.path / "scores.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["image", "line", "category", "score"],
        ["more/a.jpg", "1", "car", "0.9"],
        ["more/a.jpg", "2", "cake", "0.7"],
    ]
    assert [line[0] for line in lines(exported.path / "labels/more/a.txt")] == ["0", "2"]


@pytest.mark.parametrize("refused", [["symlink"], ["symlink", "link"]], ids=" and ".join)
def test_where_links_are_not_allowed_the_photo_is_there_all_the_same(tmp_path, monkeypatch, refused):
    def not_allowed(*_: object, **__: object) -> None:
        raise OSError("not allowed here")

    for name in refused:
        monkeypatch.setattr(yolo.os, name, not_allowed)
    exported = export(Yolo, tmp_path, {"a.png": predicted(PIXEL)})
    link = exported.path / "images/a.png"
    assert not link.is_symlink()
    assert link.read_bytes() == (tmp_path / "my photos/a.png").read_bytes()
