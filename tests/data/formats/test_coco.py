"""COCO folders as people bring them: which file is which split, where the images are, what is refused and why."""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
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
from instseg.data.reading.checked import checked_labels
from instseg.data.reading.findings import Findings
from instseg.data.reading.label_rules import COCO_RULES

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
        split: labels_of_split.image_root.relative_to(root)
        for split, labels_of_split in CocoReader(root, splits or {}).read(defaultdict(Findings)).items()
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
    write_pictures(tmp_path, "a.png")
    with pytest.raises(InstsegError, match=r"\['first.json', 'second.json'\].*dataset.splits.train.annotations"):
        CocoReader(tmp_path, {}).read(defaultdict(Findings))


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
    loaded = load_coco(AnnotatedFolder(tmp_path / "result.json"), Findings())
    coco, root = loaded.coco, loaded.image_root
    assert (root / coco["images"][0]["file_name"]).is_file()


# ---- content


def load(tmp_path: Path, content: str | bytes | dict, findings: Findings | None = None):
    path = tmp_path / "labels.json"
    if isinstance(content, dict | list):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    write_pictures(tmp_path, "a.png")
    return load_coco(AnnotatedFolder(path), Findings() if findings is None else findings).coco


@pytest.mark.parametrize(
    ("section", "bad"),
    [
        ("annotations", {"id": 9}),
        ("annotations", 3),
        ("annotations", {"id": 9, "image_id": 0, "category_id": None}),
        ("categories", {"id": 77}),
        ("categories", {"name": "no id"}),
        ("images", {"id": 8}),
        ("images", {"file_name": "b.png"}),
        ("images", "c.png"),
    ],
)
def test_one_bad_entry_is_named_and_the_others_are_read(tmp_path, section, bad):
    content, findings = labels("a.png"), Findings()
    content[section] = [bad, *content[section]]
    coco = load(tmp_path, content, findings)
    assert [len(coco[key]) for key in ("images", "annotations", "categories")] == [1, 1, 3]
    (named,) = findings.names["label_invalid"]
    assert named.startswith(f"labels.json: {section}[0] ")


@pytest.mark.parametrize(
    "spell",
    [str, lambda n: f" {n} ", float, lambda n: f"image-{n}"],
    ids=["text", "blanks", "float", "any text"],
)
def test_ids_in_any_spelling_become_whole_numbers_that_still_belong_together(tmp_path, spell):
    images = [{"id": spell(3), "file_name": "a.png"}, {"id": spell(4), "file_name": "b.png"}]
    categories = [{"id": spell(1), "name": "car"}, {"id": spell(2), "name": "dog"}]
    annotations = [
        {"id": spell(i), "image_id": spell(i), "category_id": spell(i - 2), "segmentation": []} for i in (3, 4)
    ]
    coco = load(tmp_path, {"images": images, "annotations": annotations, "categories": categories})
    assert all(type(entry["id"]) is int for entries in coco.values() for entry in entries)
    for annotation, image, category in zip(
        *(coco[key] for key in ("annotations", "images", "categories")), strict=True
    ):
        assert (annotation["image_id"], annotation["category_id"]) == (image["id"], category["id"])


def test_an_image_id_as_text_in_annotations_alone_is_the_same_id(tmp_path):
    content = labels("a.png")
    content["annotations"][0] |= {"image_id": "0", "id": None}
    findings = Findings()
    (annotation,) = load(tmp_path, content, findings)["annotations"]
    assert (annotation["id"], annotation["image_id"]) == (1, 0)
    assert findings.names == {"annotation_numbered": ["labels.json (1 of 1)"]}


def test_an_id_of_two_images_belongs_to_neither(tmp_path):
    content, findings = labels("c.png", "a.png"), Findings()
    content["images"].append({"id": 0, "file_name": "b.png"})
    coco = checked_labels(load(tmp_path, content, findings), COCO_RULES, findings)
    assert [image["file_name"] for image in coco["images"]] == ["a.png"] and coco["annotations"] == []
    assert list(findings.names) == ["label_invalid", "image_unknown"]


@pytest.mark.parametrize(
    ("width", "height", "expected"), [("16", "12", (16, 12)), (16.0, 12.0, (16, 12)), ("x", 12, ())]
)
def test_sizes_written_as_text_are_numbers_and_others_are_those_of_the_file(tmp_path, width, height, expected):
    content = labels("a.png")
    content["images"][0] |= {"width": width, "height": height}
    (image,) = load(tmp_path, content)["images"]
    assert tuple(image[key] for key in ("width", "height") if key in image) == expected


def test_an_image_that_is_listed_for_each_of_its_annotations_is_one_image_with_all_of_them(tmp_path):
    content, findings = labels("a.png"), Findings()
    content["images"] = [{"id": i, "file_name": name} for i, name in enumerate(("a.png", "./a.png", "a.png"))]
    second, copy = ({**content["annotations"][0], "id": 2 + i, "image_id": 1 + i} for i in range(2))
    second["category_id"] = 18
    content["annotations"] += [second, copy]
    coco = checked_labels(load(tmp_path, content, findings), COCO_RULES, findings)
    assert [image["id"] for image in coco["images"]] == [0]
    assert [(a["image_id"], a["category_id"]) for a in coco["annotations"]] == [(0, 3), (0, 18)]
    assert findings.names == {"image_repeated": ["a.png (3 times)"], "shape_repeated": ["annotation 3"]}


# ---- several files


def test_a_json_for_each_image_and_several_of_one_split_are_joined(tmp_path):
    for split, names in (("train", ("a", "b")), ("val", ("c",))):
        for name in names:
            write_json(tmp_path / f"annotations/instances_{split}_{name}.json", labels(f"{name}.png"))
    write_pictures(tmp_path / "images", "a.png", "b.png", "c.png")
    findings = defaultdict(Findings)
    read = CocoReader(tmp_path, {}).read(findings)
    assert {split: len(part.coco["annotations"]) for split, part in read.items()} == {"train": 2, "val": 1}
    assert list(findings["train"].names) == ["files_joined"] and not findings["val"].names


# ---- names of files that are elsewhere


@pytest.mark.parametrize(
    ("written", "there"),
    [
        ("/data/project/images/a.png", "images/a.png"),
        ("C:\\Users\\x\\a.png", "images/a.png"),
        ("..\\images\\a.png", "images/a.png"),
        ("train/a.png", "images/a.png"),
        ("with%20space.png", "images/with space.png"),
        ("with space.png", "images/with%20space.png"),
        ("A.PNG", "images/a.png"),
        (unicodedata.normalize("NFC", "café.png"), "images/" + unicodedata.normalize("NFD", "café.png")),
        ("x/day1/a.png", "photos/day1/a.png"),
    ],
)
def test_an_image_is_found_by_the_longest_end_of_its_path_and_named(tmp_path, written, there):
    write_json(tmp_path / "labels.json", labels("b.png", written))
    write_pictures(tmp_path, "images/b.png", there, "photos/day2/a.png" if "day1" in there else "photos/c.png")
    findings = Findings()
    loaded = load_coco(AnnotatedFolder(tmp_path / "labels.json"), findings)
    found = {
        (loaded.image_root / image["file_name"]).relative_to(tmp_path).as_posix() for image in loaded.coco["images"]
    }
    assert found == {"images/b.png", there}
    (named,) = findings.names["image_found_elsewhere"]
    assert named.endswith(f" ({there})")


@pytest.mark.parametrize("others", [("x/a.png", "y/a.png"), ("masks/a.png",), ("val/a.png",), ("a_2.png",)])
def test_an_image_that_could_be_several_a_mask_or_of_another_split_stays_missing(tmp_path, others):
    write_json(tmp_path / "instances_train.json", labels("b.png", "a.png"))
    write_pictures(tmp_path, "images/b.png", *others)
    loaded = load_coco(AnnotatedFolder(tmp_path / "instances_train.json", "train"), findings := Findings())
    assert [image["file_name"] for image in loaded.coco["images"]] == ["b.png", "a.png"] and not findings.names


def test_lvis_names_its_images_by_an_address(tmp_path):
    content = labels("a.png")
    content["images"][0] |= {"file_name": None, "coco_url": "http://images.cocodataset.org/train2017/a.png"}
    write_json(tmp_path / "annotations/lvis_v1_train.json", content)
    write_pictures(tmp_path / "train2017", "a.png")
    assert found(tmp_path) == {"train": Path()}


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
        ({**labels("a.png"), "images": [{"file_name": "a.png"}]}, r"images\[0\] has no usable id"),
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
    for split, where in CocoReader(SHARED / folder, {}).read(defaultdict(Findings)).items():
        coco, root = where.coco, where.image_root
        assert (len(coco["images"]), len(coco["annotations"])) == counts.pop(split)
        assert all((root / image["file_name"]).is_file() for image in coco["images"])
    assert not counts
