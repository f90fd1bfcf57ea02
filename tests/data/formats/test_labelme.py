"""LabelMe folders as people bring them: which image a json means, splits, other files, damaged and real ones."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import SHARED, write_json, write_picture
from labelme_files import SIZE, jpeg, png, shape, write_labels
from reading import check_reading, instances, mutated_bytes, mutated_json, read_labels

from instseg.core.errors import InstsegError
from instseg.data.formats.labelme.reader import LabelmeReader, recognise
from instseg.data.reading.labels import Labels


def read(root: Path, **options: Any) -> tuple[dict[str, Labels], dict[str, list[str]]]:
    return read_labels(LabelmeReader(root, **options))


# ---- which image a json means


def test_the_image_of_the_jsons_own_name_wins_over_the_one_that_it_names(tmp_path):
    write_labels(tmp_path, "00244", shape())
    write_labels(tmp_path, "Copy of 00244", shape(), imagePath="00244.png")
    labels, findings = read(tmp_path)
    assert set(instances(labels["all"])) == {"00244.png", "Copy of 00244.png"}
    assert findings == {"image_own_name": ["Copy of 00244.json (names 00244.png)"]}


def test_an_image_is_found_in_another_folder_by_its_name_or_stem(tmp_path):
    write_labels(tmp_path, "json/a", shape(), photo="photos/day/a.jpg", imagePath="C:\\work\\a.png")
    labels, findings = read(tmp_path)
    assert (set(instances(labels["all"])), findings) == ({"photos/day/a.jpg"}, {})


def test_the_same_names_in_mirrored_folders_are_not_mixed_up(tmp_path):
    for day in ("monday", "tuesday"):
        write_labels(tmp_path, f"json/{day}/1", shape(day), photo=f"pic/{day}/1.png", imagePath="1.png")
    found = instances(read(tmp_path)[0]["all"])
    assert {name: [category for category, _ in listed] for name, listed in found.items()} == {
        "pic/monday/1.png": ["monday"],
        "pic/tuesday/1.png": ["tuesday"],
    }


def test_a_json_of_another_name_means_the_image_that_it_names(tmp_path):
    write_labels(tmp_path, "frame (1)", shape(), photo="frame.png", imagePath="frame.png")
    assert set(instances(read(tmp_path)[0]["all"])) == {"frame.png"}


def test_image_path_may_lead_out_of_the_folder_as_where_only_the_json_are_given(tmp_path):
    write_labels(tmp_path / "project/labels", "a", shape(), photo=None, imagePath="../../photos/a.png")
    write_picture(tmp_path / "photos/a.png", SIZE)
    labels, findings = read(tmp_path / "project/labels")
    assert (labels["all"].image_root / labels["all"].coco["images"][0]["file_name"]).is_file()
    assert instances(labels["all"]).keys() == {"a.png"} and findings == {}


def test_of_two_json_for_one_image_the_one_with_its_name_counts(tmp_path):
    write_labels(tmp_path, "a (1)", shape("dog"), photo=None, imagePath="a.png")
    write_labels(tmp_path, "a", shape("car"))
    labels, findings = read(tmp_path)
    assert [name for name, _ in instances(labels["all"])["a.png"]] == ["car"]
    assert findings == {"image_labelled_twice": ["a.png (a.json is used, a (1).json is not)"]}


@pytest.mark.parametrize(
    "named", ["gone.png", "..\\gone.png", "/elsewhere/gone.png", "", None, "..", "a\0b.png", "x" * 300]
)
def test_an_image_that_is_nowhere_is_listed_to_be_reported_as_missing(tmp_path, named):
    write_labels(tmp_path, "sub/a", shape(), photo=None, imagePath=named)
    name = read(tmp_path)[0]["all"].coco["images"][0]["file_name"]
    assert name == ("sub/gone.png" if named and "gone" in named else "sub/a.jpg")


# ---- images inside the json


def test_an_image_that_is_only_inside_its_json_is_written_to_the_cache(tmp_path):
    for name in ("x/a", "b"):
        write_labels(tmp_path / "root", name, shape(), photo=None, imageData=jpeg(), imagePath="photo.jpg")
    labels, findings = read(tmp_path / "root", cache_dir=str(tmp_path / "cache"))
    assert set(instances(labels["all"])) == {"x/a.jpg", "b.jpg"}
    assert (labels["all"].image_root / "x/a.jpg").read_bytes() == base64.b64decode(jpeg())
    assert labels["all"].image_root.is_relative_to(tmp_path / "cache/labelme_embedded")
    assert findings == {"image_embedded": ["b.json", "x/a.json"]}


def test_images_from_files_and_from_json_start_from_one_folder(tmp_path):
    write_labels(tmp_path / "root", "a", shape())
    write_labels(tmp_path / "root", "b", shape(), photo=None, imageData="data:image/jpeg;base64," + jpeg())
    for _ in range(2):
        labels, findings = read(tmp_path / "root", cache_dir=str(tmp_path / "root/cache"))
        names = [image["file_name"] for image in labels["all"].coco["images"]]
        assert all((labels["all"].image_root / name).is_file() for name in names) and names[0] == "a.png"
        assert findings == {"image_embedded": ["b.json"]}, "what is in the cache is no photo beside the labels"


def test_a_file_is_preferred_to_the_image_in_the_json_unless_the_json_was_renamed(tmp_path):
    write_labels(tmp_path / "root", "a", shape(), imageData=jpeg())
    write_labels(tmp_path / "root", "copy", shape(), photo=None, imageData=jpeg(), imagePath="a.png")
    _, findings = read(tmp_path / "root", cache_dir=str(tmp_path / "cache"))
    assert findings == {"image_embedded": ["copy.json"]}


def test_without_a_cache_images_inside_their_json_are_left_out_and_named(tmp_path):
    write_labels(tmp_path, "a", shape())
    write_labels(tmp_path, "b", shape(), photo=None, imageData=jpeg())
    labels, findings = read(tmp_path)
    assert (set(instances(labels["all"])), findings) == ({"a.png"}, {"image_only_embedded": ["b.json"]})


# ---- splits, other files, empty images


def test_folders_named_after_splits_divide_and_every_split_has_all_categories(tmp_path):
    write_labels(tmp_path, "train/json/a", shape("car"), photo="train/images/a.png")
    write_labels(tmp_path, "json/b", shape("dog"), photo="valid/b.png")
    labels, _ = read(tmp_path)
    assert {split: list(instances(found)) for split, found in labels.items()} == {
        "train": ["train/images/a.png"],
        "val": ["valid/b.png"],
    }
    assert all([c["name"] for c in found.coco["categories"]] == ["car", "dog"] for found in labels.values())


def test_json_in_and_outside_of_split_folders_are_refused(tmp_path):
    write_labels(tmp_path, "train/a", shape())
    write_labels(tmp_path, "b", shape())
    with pytest.raises(InstsegError, match=r"some images lie in folders named train, 1 do not: b\.png"):
        read(tmp_path)


def test_a_json_without_shapes_is_an_empty_image_and_an_image_without_json_is_none(tmp_path):
    write_labels(tmp_path, "a", shape())
    write_labels(tmp_path, "nothing", flags={"blurred": True})
    write_picture(tmp_path / "unlabelled.png", SIZE)
    labels, findings = read(tmp_path)
    assert {name: len(found) for name, found in instances(labels["all"]).items()} == {"a.png": 1, "nothing.png": 0}
    assert findings == {"image_unlabelled": ["unlabelled.png"]}
    assert len(instances(read(tmp_path, unlabelled="empty")[0]["all"])["unlabelled.png"]) == 0
    assert tmp_path in LabelmeReader(tmp_path, "empty").label_files(), "a new photo changes the folder"
    with pytest.raises(InstsegError, match=r"dataset\.unlabelled=drop: expected one of leave_out, empty"):
        LabelmeReader(tmp_path, "drop")


def test_json_of_other_kinds_are_passed_over_and_broken_ones_left_out_both_named(tmp_path):
    write_labels(tmp_path, "a", shape())
    write_json(tmp_path / "coco.json", {"images": [], "annotations": [], "categories": []})
    write_json(tmp_path / "labels.json", ["car"])
    write_labels(tmp_path, "b", shapes={"0": shape()})
    (tmp_path / "cut.json").write_text('{"shapes": [')
    labels, findings = read(tmp_path)
    assert set(instances(labels["all"])) == {"a.png"}
    assert findings.pop("label_file_foreign") == ["coco.json", "labels.json"]
    assert [name.split(":")[0].split("/")[-1] for name in findings.pop("label_invalid")] == ["b.json", "cut.json"]


def test_a_folder_without_labelme_json_or_without_instances_is_refused(tmp_path):
    write_json(tmp_path / "other/coco.json", {"images": []})
    write_labels(tmp_path / "points", "a", shape(shape_type="point", points=[[1, 1]]))
    write_labels(tmp_path / "inside", "a", shape(), photo=None, imageData=jpeg())
    (tmp_path / "empty").mkdir()
    for name, told in [
        ("other", r"expected LabelMe json .* found coco\.json"),
        ("points", "none of 1 LabelMe json has a shape that is an instance; left out: 1 shape_open"),
        ("inside", "its images exist only inside the json; set cache_dir"),
        ("empty", "the folder is empty"),
        ("nowhere", "no such folder"),
    ]:
        with pytest.raises(InstsegError, match=told):
            read(tmp_path / name)


def test_a_folder_is_recognised_by_most_of_its_json(tmp_path):
    assert recognise(tmp_path) is None
    for i in range(6):
        write_labels(tmp_path, f"sub/{i}", shape(), imageData="x" * 10_000)
    write_json(tmp_path / "labels.json", {"classes": []})
    assert recognise(tmp_path) == "7 LabelMe json"
    assert recognise(tmp_path / "labels.json") is None
    write_json(tmp_path / "coco/a.json", {"images": [], "annotations": [], "categories": []})
    assert recognise(tmp_path / "coco") is None


# ---- damaged and real files


def test_damaged_json_give_findings_or_a_clear_error_and_nothing_else(tmp_path, tries):
    write_labels(tmp_path, "a", shape(group_id=1), shape(shape_type="circle", points=[[5, 5], [6, 6]]))
    mask = shape(points=[[0, 0], [1, 1]], shape_type="mask", mask=png(np.ones((2, 2))))
    path = write_labels(tmp_path, "b", mask, shape(shape_type="rectangle"), photo=None, imageData=jpeg())
    good, content = path.read_bytes(), json.loads(path.read_bytes())
    results = []
    for seed in range(2 * tries):
        rng = random.Random(seed)
        path.write_bytes(mutated_bytes(good, rng) if seed % 2 else json.dumps(mutated_json(content, rng)).encode())
        results.append(check_reading(lambda: LabelmeReader(tmp_path, cache_dir=str(tmp_path / "cache"))))
        recognise(tmp_path)
    assert all(results), "one damaged file leaves the others usable"


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared photos")
@pytest.mark.parametrize(
    ("folder", "num_images", "categories"),
    [
        ("labelme_traffic_signs", 60, {"prohibitory": 71, "other": 28, "danger": 12, "mandatory": 4}),
        ("labelme_vehicles_rectangles", 100, {"Car": 74, "Auto": 30, "Bus": 6}),
        ("labelme_fruits", 18, {"date": 71, "hazelnut": 53, "fig": 41}),
        # 7 shapes of persons and 4 of one sofa: groups join them
        ("labelme_official_example", 3, {"person": 6, "bus": 2, "sofa": 1, "bottle": 1, "chair": 1, "car": 1}),
        ("labelme_v2_no_version", 20, {"1": 22, "2": 19}),
    ],
)
def test_real_folders_are_read_with_all_their_images_and_instances(folder, num_images, categories):
    labels, findings = read(SHARED / folder)
    found = instances(labels["all"])
    assert (len(found), Counter(name for listed in found.values() for name, _ in listed)) == (num_images, categories)
    assert all((labels["all"].image_root / name).is_file() for name in found)
    expected = {"labelme_traffic_signs": {"image_own_name": 5}, "labelme_official_example": {"category_ignored": 2}}
    assert {kind: len(names) for kind, names in findings.items()} == expected.get(folder, {})
    assert recognise(SHARED / folder) == f"{num_images} LabelMe json"


# ---- encodings


@pytest.mark.parametrize(
    ("others", "read_as"), [(["牛"], "牛"), (["ţ"], "ţ"), (["牛", "ţ"], "ţ"), (["cat"], "ţ"), ([], "ţ")]
)
def test_a_label_that_is_text_in_two_encodings_is_the_one_that_other_files_have(others, read_as, tmp_path):
    write_labels(tmp_path, "a", shape("LABEL"))
    (tmp_path / "a.json").write_bytes((tmp_path / "a.json").read_bytes().replace(b"LABEL", "牛".encode("gbk")))
    for number, label in enumerate(others):
        write_labels(tmp_path, f"b{number}", shape(label), shape("sure, for it has a letter beside it: né"))
    labels, findings = read(tmp_path)
    assert [category for category, _ in instances(labels["all"])["a.png"]] == [read_as]
    doubt = "gb18030, by the labels of other files" if read_as == "牛" else "utf-8, but it may be gb18030: 牛"
    assert findings["encoding_guessed"] == [f"a.json ({doubt})"]
