"""COCO folders as people bring them: which file is which split, where the images are, what is refused and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import (
    SHARED,
    coco_annotation,
    coco_dict,
    coco_image,
    rectangle,
    write_json,
    write_picture,
)

from instseg.core.errors import InstsegError
from instseg.core.files import clean_file_name
from instseg.data.formats.coco.layout import AnnotatedFolder, find_annotation_files
from instseg.data.formats.coco.reader import CocoReader, load_coco

SQUARE = rectangle(2, 2, 9, 9)


def labels(*file_names: str) -> dict:
    images = [coco_image(i, name, (12, 16)) for i, name in enumerate(file_names)]
    return coco_dict(images, [coco_annotation(1, 0, "car", SQUARE)])


def write_pictures(folder: Path, *names: str) -> None:
    for name in names:
        write_picture(folder / name, (12, 16))


def found(root: Path, splits=None) -> dict[str, Path]:
    """Split -> where its images are, relative to the root."""
    return {
        split: load_coco(where).image_root.relative_to(root)
        for split, where in CocoReader(root, splits or {}).find().items()
    }


# ---- layouts


@pytest.mark.parametrize("place", ["{}2017", "images/{}2017", "{}", "images/{}", "data/{}", "{}_images", "images"])
def test_annotations_instances_with_images_in_one_of_the_usual_folders(tmp_path, place):
    for split in ("train", "val"):
        write_json(tmp_path / f"annotations/instances_{split}2017.json", labels(f"{split}_a.png", f"{split}_b.png"))
        write_pictures(tmp_path / place.format(split), f"{split}_a.png", f"{split}_b.png")
    assert found(tmp_path) == {split: Path(place.format(split)) for split in ("train", "val")}


def test_same_file_names_in_both_splits_are_not_mixed_up(tmp_path):
    for split in ("train", "val"):
        write_json(tmp_path / f"annotations/instances_{split}.json", labels("1.png", "2.png"))
        write_pictures(tmp_path / f"{split}2017", "1.png", "2.png")
    assert found(tmp_path) == {"train": Path("train2017"), "val": Path("val2017")}


def test_images_of_another_split_are_never_taken_for_missing_ones(tmp_path):
    write_json(tmp_path / "annotations/instances_val.json", labels("1.png"))
    write_pictures(tmp_path / "train2017", "1.png")
    with pytest.raises(InstsegError, match=r"instances_val.json: its images, such as \['1.png'\], are in none of"):
        found(tmp_path)


def test_other_tasks_and_result_files_beside_the_labels_are_passed_over(tmp_path):
    write_json(tmp_path / "annotations/instances_train.json", labels("a.png"))
    for name in ("captions_train", "person_keypoints_train", "image_info_test", "panoptic_train"):
        write_json(tmp_path / f"annotations/{name}.json", labels("a.png"))
    write_json(tmp_path / "annotations/instances_train_results.json", [{"image_id": 1}])
    write_pictures(tmp_path / "train", "a.png")
    assert found(tmp_path) == {"train": Path("train")}


def test_fiftyone_labels_json_beside_a_data_folder(tmp_path):
    write_json(tmp_path / "labels.json", labels("a.png"))
    write_pictures(tmp_path / "data", "a.png")
    write_json(tmp_path / "dataset_info.json", {"name": "mine"})
    assert found(tmp_path) == {"all": Path("data")}


def test_fiftyone_one_folder_per_split(tmp_path):
    for split in ("train", "validation", "test"):
        write_json(tmp_path / split / "labels.json", labels("a.png"))
        write_pictures(tmp_path / split / "data", "a.png")
    expected = {"train": Path("train/data"), "val": Path("validation/data"), "test": Path("test/data")}
    assert found(tmp_path) == expected


def test_roboflow_one_folder_per_split_with_the_images_beside_the_json(tmp_path):
    for split in ("train", "valid", "test"):
        write_json(tmp_path / split / "_annotations.coco.json", labels("a.png"))
        write_pictures(tmp_path / split, "a.png")
    assert found(tmp_path) == {"train": Path("train"), "val": Path("valid"), "test": Path("test")}


@pytest.mark.parametrize("place", [".", "images", "data", "photos"])
@pytest.mark.parametrize("name", ["result.json", "instances_default.json", "my labels.json"])
def test_a_single_json_with_the_images_beside_it_or_in_a_folder_beside_it(tmp_path, name, place):
    write_json(tmp_path / name, labels("a.png"))
    write_pictures(tmp_path / place, "a.png")
    assert found(tmp_path) == {"all": Path(place)}


def test_the_root_may_be_the_json_itself(tmp_path):
    path = write_json(tmp_path / "odd" / "labels.json", labels("a.png"))
    write_pictures(tmp_path / "odd", "a.png")
    assert list(CocoReader(path, {}).find()) == ["all"]


def test_the_name_of_the_root_itself_says_nothing_about_the_split(tmp_path):
    root = tmp_path / "my_test_photos"
    write_json(root / "labels.json", labels("a.png"))
    write_pictures(root, "a.png")
    assert list(CocoReader(root, {}).find()) == ["all"]


def test_a_split_can_be_a_word_in_a_longer_name_but_not_a_part_of_one(tmp_path):
    write_json(tmp_path / "a" / "my-train-set_v2.json", labels("a.png"))
    write_json(tmp_path / "b" / "trainees.json", labels("a.png"))
    assert list(CocoReader(tmp_path / "a", {}).find()) == ["train"]
    assert list(CocoReader(tmp_path / "b", {}).find()) == ["all"]


def test_splits_can_be_named_by_hand(tmp_path):
    write_json(tmp_path / "x.json", labels("a.png"))
    write_json(tmp_path / "deep" / "y.json", labels("a.png"))
    write_pictures(tmp_path / "here", "a.png")
    outside = tmp_path / "outside"
    write_pictures(outside, "a.png")
    splits = {
        "train": {"annotations": "x.json", "images": "here"},
        "val": {"annotations": "deep/y.json", "images": str(outside)},
        "test": {"annotations": None, "images": None},
    }
    assert found(tmp_path, splits) == {"train": Path("here"), "val": Path("outside")}


@pytest.mark.parametrize(
    ("splits", "told"),
    [
        ({"train": {"annotations": "no.json"}}, r"dataset.splits.train.annotations: no such file: .*no.json"),
        ({"train": {"annotations": "x.json", "images": "no"}}, r"dataset.splits.train.images: no such folder: .*no"),
        ({"val": {"images": "here"}}, "dataset.splits.val.images needs dataset.splits.val.annotations"),
        ({"trian": {"annotations": "x.json"}}, "dataset.splits.trian: the splits are train, val, test"),
    ],
)
def test_a_split_named_by_hand_that_is_not_there_is_told(tmp_path, splits, told):
    write_json(tmp_path / "x.json", labels("a.png"))
    with pytest.raises(InstsegError, match=told):
        CocoReader(tmp_path, splits).find()


def test_json_files_that_cannot_be_told_apart_are_named_with_what_to_type(tmp_path):
    write_json(tmp_path / "first.json", labels("a.png"))
    write_json(tmp_path / "second.json", labels("a.png"))
    with pytest.raises(InstsegError, match=r"\['first.json', 'second.json'\].*dataset.splits.train.annotations"):
        CocoReader(tmp_path, {}).find()


def test_a_folder_without_labels_is_answered_with_what_was_expected_and_found(tmp_path):
    write_pictures(tmp_path, "photo.png")
    with pytest.raises(InstsegError, match=r"no COCO annotations found.*found photo\.png"):
        find_annotation_files(tmp_path)
    with pytest.raises(InstsegError, match="no such folder"):
        find_annotation_files(tmp_path / "nowhere")


def test_labelme_files_are_no_coco(tmp_path):
    write_json(tmp_path / "photo.json", {"version": "5", "shapes": [], "imagePath": "photo.jpg", "info": 1})
    with pytest.raises(InstsegError, match="no COCO annotations found"):
        find_annotation_files(tmp_path)


# ---- file names


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [("images\\fb26c02b-m1.jpg", "images/fb26c02b-m1.jpg"), ("./a.jpg", "a.jpg"), ("a//b.jpg", "a/b.jpg")],
)
def test_file_names_get_forward_slashes(written, cleaned):
    assert clean_file_name(written, Path("x.json")) == cleaned


@pytest.mark.parametrize("name", ["../secret.jpg", "a/../../b.jpg", "..\\b.jpg", "/etc/b.jpg", "\\\\server\\b.jpg", ""])
def test_file_names_that_lead_out_of_the_image_folder_are_refused(name):
    with pytest.raises(InstsegError, match=r"x.json: file_name .* leads out of the image folder"):
        clean_file_name(name, Path("x.json"))


def test_images_are_found_by_names_with_backslashes(tmp_path):
    write_json(tmp_path / "result.json", labels("images\\a.png"))
    write_pictures(tmp_path / "images", "a.png")
    loaded = load_coco(AnnotatedFolder(tmp_path / "result.json"))
    coco, root = loaded.coco, loaded.image_root
    assert (root / coco["images"][0]["file_name"]).is_file()


# ---- content


def load(tmp_path: Path, content: str | bytes | dict):
    path = tmp_path / "labels.json"
    if isinstance(content, dict | list):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    write_pictures(tmp_path, "a.png")
    return load_coco(AnnotatedFolder(path)).coco


def test_info_and_licenses_need_not_be_there(tmp_path):
    assert set(load(tmp_path, labels("a.png"))) == {"images", "annotations", "categories"}


def test_ids_may_start_from_zero_and_have_gaps(tmp_path):
    content = coco_dict(
        [coco_image(0, "a.png"), coco_image(9, "b.png")], [coco_annotation(0, 9, 0, SQUARE)], {"car": 0, "dog": 4}
    )
    assert load(tmp_path, content)["annotations"][0]["category_id"] == 0


def test_a_byte_order_mark_is_read_over(tmp_path):
    assert load(tmp_path, b"\xef\xbb\xbf" + json.dumps(labels("a.png")).encode())["images"]
    assert find_annotation_files(tmp_path) == [tmp_path / "labels.json"]


def test_names_that_are_numbers_become_text(tmp_path):
    content = labels("a.png") | {"categories": [{"id": 3, "name": 1}]}
    assert load(tmp_path, content)["categories"][0]["name"] == "1"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "labels.json: not a json file"),
        (b"\xff\xfe\x00", "labels.json: not a json file"),
        ([], "no list named images, annotations, categories; found list"),
        ({"images": [], "categories": []}, "no list named annotations; found"),
        ({"images": {}, "annotations": [], "categories": []}, "no list named images; found"),
        (coco_dict([], []), "its list of images is empty"),
        ({**labels("a.png"), "images": [{"id": 1}]}, r"images\[0\] has no usable file_name"),
        ({**labels("a.png"), "images": [{"id": "1", "file_name": "a.png"}]}, r"images\[0\] has no usable id"),
        ({**labels("a.png"), "annotations": [{"id": 1}]}, r"annotations\[0\] has no usable image_id, category_id"),
        ({**labels("a.png"), "annotations": [3]}, r"annotations\[0\] has no usable id, image_id"),
        ({**labels("a.png"), "categories": [{"id": 1}]}, r"categories\[0\] has no usable name"),
        (coco_dict([coco_image(5, "a.png"), coco_image(5, "b.png")], []), "images holds the id 5 more than once"),
        (
            {**labels("a.png"), "categories": [{"id": 1, "name": "car"}, {"id": 1, "name": "dog"}]},
            "categories holds the id 1 more than once",
        ),
    ],
)
def test_what_is_no_coco_file_is_refused_with_the_place_and_the_reason(tmp_path, content, told):
    with pytest.raises(InstsegError, match=told):
        load(tmp_path, content)


# ---- real folders


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared photos")
@pytest.mark.parametrize(
    ("folder", "counts"),
    [
        ("coco_tiny", {"train": (80, 705), "val": (80, 815)}),
        ("coco128", {"train": (128, 939)}),
        ("labelstudio_car_truck", {"all": (45, 45)}),
        ("labelstudio_cans_bbox_only", {"all": (24, 106)}),
    ],
)
def test_real_folders_are_found_with_all_their_images(folder, counts):
    for split, where in CocoReader(SHARED / folder, {}).find().items():
        coco, root = load_coco(where).coco, load_coco(where).image_root
        assert (len(coco["images"]), len(coco["annotations"])) == counts.pop(split)
        assert all((root / image["file_name"]).is_file() for image in coco["images"])
    assert not counts
