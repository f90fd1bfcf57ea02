"""Label Studio's exports as folders: recognised, the COCO form with all its quirks, splits, real ones."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from factories import (
    SHARED,
    coco_annotation,
    coco_dict,
    coco_image,
    rectangle,
    write_coco_folder,
    write_json,
    write_picture,
)
from labelstudio_exports import PHOTO, SIZE, brush, polygon, read, read_all, task, write_export

from instseg.core.errors import InstsegError
from instseg.data.formats.labelstudio.reader import LabelStudioReader, recognise

BOX = rectangle(4, 2, 20, 12)
INFO = {"info": {"year": 2024, "version": "1.0", "contributor": "Label Studio", "url": ""}}


def coco_export(*file_names: str, size: tuple[int, int] | None = SIZE, info: dict[str, Any] = INFO) -> dict[str, Any]:
    """One polygon on each image, ids from 0, as the COCO export has them."""
    images = [coco_image(i, name, size) for i, name in enumerate(file_names)]
    annotations = [coco_annotation(i, i, i % 2, BOX, bbox=[4, 2, 16, 10], ignore=0) for i in range(len(images))]
    return {**coco_dict(images, annotations, {"mobil": 0, "truk": 1}), **info}


def names_of(labels) -> list[str]:
    return [image["file_name"] for image in labels.coco["images"]]


# ---- COCO export


def test_names_with_backslashes_and_ids_from_zero(tmp_path):
    write_export(tmp_path, coco_export("images\\fb26c02b-m1.png"), "images/fb26c02b-m1.png", name="result.json")
    labels, found = read_all(tmp_path)
    assert labels.image_root / names_of(labels)[0] == tmp_path / "images/fb26c02b-m1.png"
    assert labels.coco["annotations"][0]["category_id"] == 0 and not found


def test_boxes_without_polygons_and_points_outside_of_the_image_are_left_to_the_index(tmp_path):
    content = coco_export("images/fb26c02b-a.png")
    content["annotations"][0] |= {"segmentation": [], "bbox": [-3.5, -1, 9, 9]}
    labels, _ = read_all(write_export(tmp_path, content, "images/fb26c02b-a.png", name="result.json"))
    assert labels.coco["annotations"][0]["segmentation"] == []
    assert labels.coco["annotations"][0]["bbox"] == [-3.5, -1, 9, 9]


def test_listed_images_that_are_missing_stay_listed_where_they_should_be(tmp_path):
    content = coco_export("images\\fb26c02b-a.png", "images\\0123abcd-lost.png")
    labels, _ = read_all(write_export(tmp_path, content, "images/fb26c02b-a.png", name="result.json"))
    assert names_of(labels) == ["images/fb26c02b-a.png", "images/0123abcd-lost.png"]


def test_images_that_no_task_lists_are_told(tmp_path):
    content = coco_export("images/fb26c02b-a.png")
    write_export(tmp_path, content, "images/fb26c02b-a.png", "images/new.png", name="result.json")
    assert read_all(tmp_path)[1] == {"image_unlabelled": ["images/new.png"]}


def test_of_an_image_that_two_people_labelled_the_first_listing_counts(tmp_path):
    content = coco_export("images/fb26c02b-a.png", "images/fb26c02b-a.png")
    labels, found = read_all(write_export(tmp_path, content, "images/fb26c02b-a.png", name="result.json"))
    assert [one["image_id"] for one in labels.coco["annotations"]] == [0]
    assert found == {"image_labelled_twice": ["images/fb26c02b-a.png"]}


def test_an_export_made_without_the_images_has_no_sizes(tmp_path):
    labels, found = read_all(write_export(tmp_path, coco_export("/data/upload/1/fb26c02b-a.png", size=None), "a.png"))
    assert names_of(labels) == ["a.png"] and not found


def test_polygons_on_images_turned_by_exif_get_the_scale_of_the_image_as_it_was_shown(tmp_path):
    """Drawn at 10..50 % x 10..60 % of an image of 20 x 40 (width x height) that is stored as 40 x 20."""
    content = coco_export("a.jpg", "b.jpg")
    content["annotations"] = [
        coco_annotation(0, 0, 0, [[4, 2, 20, 2, 20, 12, 4, 12]], bbox=[4, 2, 16, 10], area=160),
        coco_annotation(1, 0, 0, [], bbox=[2, 4, 8, 20]),  # boxes are in the scale that was shown
        coco_annotation(2, 1, 0, [[4, 2, 20, 2, 20, 12, 4, 12]], bbox=[4, 2, 16, 10]),
    ]
    write_export(tmp_path, content, name="result.json")
    write_picture(tmp_path / "a.jpg", SIZE, orientation=6)
    write_picture(tmp_path / "b.jpg", SIZE, orientation=3)
    labels, found = read_all(tmp_path)
    first, box, second = labels.coco["annotations"]
    np.testing.assert_allclose(first["segmentation"], [[2, 4, 10, 4, 10, 24, 2, 24]])
    np.testing.assert_allclose([first["bbox"], box["bbox"]], [[2, 4, 8, 20], [2, 4, 8, 20]])
    assert first["area"] == 160 and second["bbox"] == [4, 2, 16, 10]
    assert [(image["height"], image["width"]) for image in labels.coco["images"]] == [(40, 20), (20, 40)]
    assert found == {"exif_unscaled": ["a.jpg"]}


def test_images_whose_size_was_taken_as_shown_are_left_as_they_are(tmp_path):
    write_export(tmp_path, coco_export("a.jpg", size=SIZE[::-1]), name="result.json")
    write_picture(tmp_path / "a.jpg", SIZE, orientation=8)
    labels, found = read_all(tmp_path)
    assert labels.coco["annotations"][0]["bbox"] == [4, 2, 16, 10] and not found


# ---- splits and files


def test_exports_named_after_splits_are_splits_that_list_the_same_categories(tmp_path):
    write_export(tmp_path / "train", coco_export("images\\fb26c02b-a.png"), "images/fb26c02b-a.png", name="result.json")
    write_export(tmp_path / "val", [task(polygon("bus"))], "images/fb26c02b-a.png")
    labels, found = read(tmp_path)
    assert {split: names_of(part) for split, part in labels.items()} == {
        "train": ["train/images/fb26c02b-a.png"],
        "val": ["val/images/fb26c02b-a.png"],
    }
    for part in labels.values():
        assert {category["name"] for category in part.coco["categories"]} == {"mobil", "truk", "bus"}
        assert len({category["id"] for category in part.coco["categories"]}) == 3
    assert not any(one.names for one in found.values())


def test_two_exports_that_are_no_splits_are_named_with_what_to_type(tmp_path):
    write_export(tmp_path, coco_export("a.png"), "a.png", name="result.json")
    write_export(tmp_path, [task(polygon())])
    with pytest.raises(InstsegError, match=r"several exports.*project-1.json, result.json.*dataset=multi"):
        read(tmp_path)
    assert names_of(read_all(tmp_path / "result.json")[0]) == ["a.png"]
    assert LabelStudioReader(tmp_path / "result.json").label_files() == [tmp_path / "result.json"]


def test_a_coco_json_that_nothing_tells_from_any_other_is_read_when_asked_for(tmp_path):
    write_export(tmp_path, coco_export("a.png", info={}), "a.png", name="mine.json")
    assert recognise(tmp_path) is None
    assert names_of(read_all(tmp_path)[0]) == ["a.png"]


def test_a_byte_order_mark_is_read_over(tmp_path):
    write_picture(tmp_path / "a.png", SIZE)
    (tmp_path / "project.json").write_bytes(b"\xef\xbb\xbf" + json.dumps([task(polygon())]).encode())
    assert recognise(tmp_path) and names_of(read_all(tmp_path)[0]) == ["a.png"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "the folder is empty"),
        ({"shapes": []}, "no export of Label Studio found: expected result.json"),
        ("[", "not a json file"),
        ("", "not a json file"),
        ('{"images": [', "not a json file"),
        (INFO, "not a COCO file: no list named images, annotations, categories"),
        (coco_export(), "its list of images is empty"),
    ],
)
def test_what_is_no_export_is_refused_with_what_was_expected(tmp_path, content, told):
    if isinstance(content, str):
        (tmp_path / "result.json").write_text(content)
    elif content is not None:
        write_json(tmp_path / "result.json", content)
    with pytest.raises(InstsegError, match=told):
        read(tmp_path / "result.json" if isinstance(content, str) else tmp_path)
    assert recognise(tmp_path) is None or content in (INFO, coco_export())


# ---- recognise


@pytest.mark.parametrize(
    "content",
    [
        coco_export("a.png"),
        coco_export("images\\fb26c02b-a.png", info={}),
        coco_export("images/7d5a1e0c__fb26c02b-a.png", info={}),
        [task(polygon())],
        [task(brush(np.eye(700, dtype=np.uint8)))],
        [{"id": 1, "data": {"image": PHOTO}, "completions": []}],
        [{"data": {"image": PHOTO}, "predictions": []}],
        [{"image": PHOTO, "id": 1, "label": [], "annotator": 1, "annotation_id": 1, "lead_time": 2.5}],
    ],
)
@pytest.mark.parametrize("folder", [".", "export"])
def test_every_form_of_export_is_recognised_here_or_one_folder_deeper(tmp_path, content, folder):
    write_export(tmp_path / folder, content, name="any.json")
    assert recognise(tmp_path) == "1 Label Studio json (any.json)" == recognise(tmp_path / folder / "any.json")


@pytest.mark.parametrize(
    "content",
    [
        coco_export("20240131-1.png", "20240131-2.png", info={}),
        coco_export("fb26c02b-a.png", "b.png", "c.png", info={}),
        {"version": "5.0.1", "shapes": [], "imagePath": "fb26c02b-a.png"},
        [{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}],
        [],
        "text",
    ],
)
def test_labels_of_other_tools_are_not(tmp_path, content):
    write_json(tmp_path / "labels.json", content)
    assert recognise(tmp_path) is None


def test_other_coco_folders_and_folders_without_json_are_not(tmp_path):
    assert recognise(write_coco_folder(tmp_path / "coco")) is None
    write_picture(tmp_path / "photos" / "a.png", SIZE)
    assert recognise(tmp_path / "photos") is None
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "result.json").symlink_to(tmp_path / "nowhere")
    assert recognise(tmp_path / "broken") is None


def test_an_export_among_many_other_json_is_found_by_its_usual_name(tmp_path):
    for i in range(100):
        write_json(tmp_path / f"a{i}.json", {})
    write_json(tmp_path / "result.json", coco_export("a.png"))
    assert recognise(tmp_path) == "1 Label Studio json (result.json)"


# ---- real exports


@pytest.mark.skipif(not (SHARED / "labelstudio_car_truck").is_dir(), reason="needs the shared photos")
def test_the_cars_and_trucks_have_their_45_polygons():
    root = SHARED / "labelstudio_car_truck"
    assert recognise(root) == "1 Label Studio json (result.json)"
    labels, found = read_all(root)
    names = {category["id"]: category["name"] for category in labels.coco["categories"]}
    assert Counter(names[one["category_id"]] for one in labels.coco["annotations"]) == {"mobil": 20, "truk": 25}
    assert len(names_of(labels)) == 45 and all((labels.image_root / name).is_file() for name in names_of(labels))
    assert not found


@pytest.mark.skipif(not (SHARED / "labelstudio_cans_bbox_only").is_dir(), reason="needs the shared photos")
def test_the_cans_have_their_106_boxes_of_8_categories():
    labels, found = read_all(SHARED / "labelstudio_cans_bbox_only")
    assert len(names_of(labels)) == 24 and len(labels.coco["annotations"]) == 106
    assert len({one["category_id"] for one in labels.coco["annotations"]}) == 8
    assert all(one["segmentation"] == [] for one in labels.coco["annotations"]) and not found
