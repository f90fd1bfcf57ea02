"""From a folder of labels to indices, once: what is checked, how it is divided, when it is built again."""

from __future__ import annotations

import gc
import json
import logging
import os
import time
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest
from factories import (
    CATEGORY_IDS,
    SHARED,
    coco_annotation,
    coco_dict,
    coco_image,
    rectangle,
    write_coco_folder,
    write_json,
    write_picture,
)
from labelme_files import SIZE, shape, write_labels
from sampled import first, in_turns
from small_folders_of_tools import cvat_xml, darwin_json

from instseg.core import file_states
from instseg.core.errors import InstsegError
from instseg.data import label_digests, prepare, sources
from instseg.data.formats.coco import reader as coco
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.formats.cvat.reader import CvatReader
from instseg.data.formats.darwin.reader import DarwinReader
from instseg.data.formats.labelme.reader import LabelmeReader
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.findings_file import read_findings

SQUARE = rectangle(2, 2, 9, 9)


def prepared(root: Path, **options) -> PreparedDataset:
    return sources.folder(name="test", reader=CocoReader, root=str(root), cache_dir=str(root / "cache"), **options)


def indices(root: Path) -> list[Path]:
    """All folders in the cache, hidden ones too."""
    return [path for path in (root / "cache/index").iterdir() if path.is_dir()]


def file_names(dataset: PreparedDataset, split: str) -> list[str]:
    index = dataset.indices[split]
    return [index.file_name(i) for i in range(len(index))]


def write_split(root: Path, split: str, names: list[str], categories=CATEGORY_IDS) -> None:
    """Every photo has one instance of each category."""
    images = [coco_image(i, name, (12, 16)) for i, name in enumerate(names)]
    pairs = [(image["id"], category_id) for image in images for category_id in categories.values()]
    annotations = [coco_annotation(n, image_id, category_id, SQUARE) for n, (image_id, category_id) in enumerate(pairs)]
    write_json(root / f"annotations/instances_{split}.json", coco_dict(images, annotations, categories))
    for seed, name in enumerate(names):
        write_picture(root / split / name, (12, 16), seed)  # photos that look alike would stay together


# ---- categories


def test_all_categories_of_the_labels_are_taken_in_their_order(tmp_path):
    dataset = prepared(write_coco_folder(tmp_path))
    assert dataset.categories.names == ("car", "dog", "cake")
    assert dataset.indices["train"].instances_per_category().tolist() == [2, 1, 1]


def test_categories_are_chosen_by_name_in_the_given_order(tmp_path):
    dataset = prepared(write_coco_folder(tmp_path), categories=["cake", "car"])
    assert dataset.categories.names == ("cake", "car")
    assert dataset.indices["train"].instances_per_category().tolist() == [1, 2]
    assert len(dataset.indices["train"]) == 4, "images without any of them stay"


def test_one_category_need_not_be_a_list(tmp_path):
    assert prepared(write_coco_folder(tmp_path), categories="dog").categories.names == ("dog",)


def test_names_that_are_numbers_are_matched_as_text(tmp_path):
    for split in ("train", "val"):
        write_split(tmp_path, split, ["a.png"], {"1": 4, "2": 9})
    assert prepared(tmp_path, categories=[2]).categories.names == ("2",)


def test_a_name_that_is_misspelt_is_told_with_the_names_there_are(tmp_path):
    with pytest.raises(InstsegError, match=r"no category named dgo. Did you mean dog\? There are car, dog, cake"):
        prepared(write_coco_folder(tmp_path), categories=["dgo"])


def test_categories_that_only_some_splits_list_are_joined_by_name_and_named(tmp_path):
    write_split(tmp_path, "train", ["a.png"], {"car": 1, "dog": 2})
    write_split(tmp_path, "val", ["b.png"], {"car": 1, "cat": 2})
    dataset = prepared(tmp_path)
    assert dataset.categories.names == dataset.indices["val"].categories.names == ("car", "dog", "cat")
    findings = read_findings(dataset.folder / "findings.json")
    assert findings["val"].names["category_unlisted"] == ["dog (val does not list it)"]
    assert findings["train"].names["category_unlisted"] == ["cat (train does not list it)"]
    for split in ("train", "val"):
        listed = json.loads((dataset.folder / f"{split}.json").read_text())["categories"]
        assert sorted(category["name"] for category in listed) == ["car", "cat", "dog"]
        assert len({category["id"] for category in listed}) == 3
    with pytest.raises(InstsegError, match="no category named horse"):
        prepared(tmp_path, categories=["dog", "horse"])
    assert prepared(tmp_path, categories=["cat", "car"]).categories.names == ("cat", "car")


def test_splits_may_number_their_categories_differently(tmp_path):
    write_split(tmp_path, "train", ["a.png"], {"car": 1, "dog": 2})
    write_split(tmp_path, "val", ["b.png"], {"dog": 1, "car": 2})
    dataset = prepared(tmp_path)
    assert dataset.indices["val"].categories == dataset.categories
    assert dataset.indices["val"].instances(0).labels.tolist() == [2, 1]


def test_two_ids_of_one_name_are_one_category(tmp_path):
    for split in ("train", "val"):
        write_split(tmp_path, split, [f"{split}.png"])
        path = tmp_path / f"annotations/instances_{split}.json"
        labels = json.loads(path.read_text())
        labels["categories"].append({"id": 99, "name": "car"})
        labels["annotations"][0]["category_id"] = 99
        path.write_text(json.dumps(labels))
    dataset = prepared(tmp_path)
    assert dataset.categories.names == ("car", "dog", "cake")
    assert dataset.indices["train"].instances_per_category().tolist() == [1, 1, 1]


def test_training_images_without_any_instance_are_refused(tmp_path):
    for split in ("train", "val"):
        write_split(tmp_path, split, ["a.png"])
        path = tmp_path / f"annotations/instances_{split}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"annotations": []}))
    with pytest.raises(InstsegError, match="split train: no image has an instance of car, dog, cake"):
        prepared(tmp_path)


def test_learning_no_mask_from_boxes_needs_an_instance_with_a_mask(tmp_path):
    for split in ("train", "val"):
        write_split(tmp_path, split, ["a.png"])
        path = tmp_path / f"annotations/instances_{split}.json"
        labels = json.loads(path.read_text())
        boxes = [annotation | {"segmentation": [], "bbox": [2, 2, 9, 9]} for annotation in labels["annotations"]]
        path.write_text(json.dumps(labels | {"annotations": boxes}))
    with pytest.raises(InstsegError, match=r"none of its .* has a mask to learn; dataset.box_only=filled"):
        prepared(tmp_path, box_only="boxes")
    assert prepared(tmp_path).indices["train"].num_instances


# ---- splits


def test_a_single_set_is_divided_by_the_seed_and_the_division_is_written_down(tmp_path):
    write_split(tmp_path, "everything", [f"{i}.png" for i in range(20)])
    dataset = prepared(tmp_path)
    sizes = {split: len(dataset.indices[split]) for split in ("train", "val", "test")}
    assert sizes == {"train": 14, "val": 3, "test": 3}
    written = json.loads((dataset.folder / "splits.json").read_text())
    assert {split: sorted(names) for split, names in written.items()} == {
        split: sorted(file_names(dataset, split)) for split in sizes
    }
    assert len({name for names in written.values() for name in names}) == 20
    assert dataset.notes == ["The labels have no splits: divided by seed 0 into train 14, val 3, test 3 (splits.json)."]
    assert file_names(prepared(tmp_path, seed=1), "val") != file_names(dataset, "val")


def test_a_missing_val_split_is_taken_from_train_and_test_stays(tmp_path):
    write_split(tmp_path, "train", [f"{i}.png" for i in range(10)])
    write_split(tmp_path, "test", ["t.png"])
    dataset = prepared(tmp_path)
    assert file_names(dataset, "test") == ["t.png"]
    assert sorted(file_names(dataset, "train") + file_names(dataset, "val")) == [f"{i}.png" for i in range(10)]
    assert dataset.notes == ["The labels have no val: divided by seed 0 into train 8, val 2 (splits.json)."]


def test_the_ratio_of_the_division_can_be_given_and_zero_makes_no_such_split(tmp_path):
    write_split(tmp_path, "everything", [f"{i}.png" for i in range(20)])
    dataset = prepared(tmp_path, split_ratio={"train": 1, "val": 1, "test": 0})
    assert (len(dataset.indices["train"]), len(dataset.indices["val"])) == (10, 10)
    assert "There is no test split" in dataset.notes[1]


def test_without_a_test_split_val_is_tested_and_a_note_says_so(tmp_path):
    dataset = prepared(write_coco_folder(tmp_path))
    assert file_names(dataset, "test") == file_names(dataset, "val")
    assert dataset.notes == ["There is no test split: 'test' is the val images, and best.ckpt was chosen on them."]


def test_two_images_cannot_make_three_splits(tmp_path):
    write_split(tmp_path, "everything", ["a.png", "b.png"])
    with pytest.raises(InstsegError, match=r"2 images in 2 groups cannot be split into 3 parts \(train, val, test\)"):
        prepared(tmp_path)


def test_images_are_limited_per_split(tmp_path):
    write_coco_folder(tmp_path, {"train": 12, "val": 8})
    dataset = prepared(tmp_path, max_images={"train": 5, "val": None})
    assert (len(dataset.indices["train"]), len(dataset.indices["val"])) == (5, 8)


def test_empty_images_are_kept_in_the_ratio(tmp_path):
    write_coco_folder(tmp_path, {"train": 12, "val": 4})
    dataset = prepared(tmp_path, empty_ratio=0)
    assert len(dataset.indices["train"]) == 9
    assert dataset.indices["train"].instances_per_image().all()


def test_learning_by_heart_uses_the_same_few_occupied_images_everywhere(tmp_path):
    few = prepared(write_coco_folder(tmp_path, {"train": 8, "val": 2})).on_training_images(3)
    assert file_names(few, "train") == file_names(few, "val") == file_names(few, "test")
    assert few.indices["train"].instances_per_image()[few.indices["train"].rows].all()
    assert few.notes == ["Training and evaluation both look at the same 3 training images."]


# ---- the record


def test_16_bits_are_scaled_alike_by_the_range_of_all_or_the_one_that_is_given(tmp_path):
    write_split(tmp_path, "train", ["dim.png", "bright.png", "third.png"])
    for name, value in (("dim.png", 200), ("bright.png", 2000)):
        cv2.imwrite(str(tmp_path / "train" / name), np.full((12, 16), value, np.uint16))
    brightness = {}
    for value_range in (None, [0, 4000]):
        index = prepared(tmp_path, split_ratio={"train": 0.5, "val": 0.5, "test": 0}, value_range=value_range).indices
        images = [
            (split.file_name(row), split.read_image(row)) for split in index.values() for row in range(len(split))
        ]
        brightness[bool(value_range)] = {name: int(image.max()) for name, image in images if name != "third.png"}
    assert brightness[False] == {"dim.png": 25, "bright.png": 249}  # by 11 bits, which hold the values of both
    assert brightness[True] == {"dim.png": 13, "bright.png": 128}


def test_a_network_is_refused_images_that_are_scaled_otherwise_than_it_knows_them(tmp_path):
    write_split(tmp_path, "train", ["a.png", "b.png", "c.png"])
    cv2.imwrite(str(tmp_path / "train/a.png"), np.full((12, 16), 2000, np.uint16))
    found = prepared(tmp_path)
    found.check_range(None)
    found.check_range((0, 2047))
    with pytest.raises(InstsegError, match=r"scaled by \(0, 2047\).*: use dataset\.value_range=\[0,4095\]"):
        found.check_range((0, 4095))
    prepared(tmp_path, value_range=[0, 4095]).check_range((0, 4095))


@pytest.mark.parametrize("wrong", [[0], [4095, 0], [0, 70000], [0, 0.5], "4095", [-1, 5], [True, 3]])
def test_a_range_that_is_none_is_refused(tmp_path, wrong):
    write_split(tmp_path, "train", ["a.png", "b.png", "c.png"])
    with pytest.raises(InstsegError, match=r"dataset.value_range: expected null or two whole numbers"):
        prepared(tmp_path, value_range=wrong)


def test_every_split_is_written_as_coco_for_other_tools(tmp_path):
    dataset = prepared(write_coco_folder(tmp_path), categories=["dog"])
    coco = json.loads((dataset.folder / "train.json").read_text())
    assert [category["name"] for category in coco["categories"]] == ["dog"]
    assert len(coco["images"]) == 4
    assert (Path(coco["info"]["image_root"]) / coco["images"][0]["file_name"]).is_file()


def test_what_was_left_out_is_written_down(tmp_path):
    write_coco_folder(tmp_path)
    (tmp_path / "train/train_0.png").unlink()
    dataset = prepared(tmp_path)
    findings = json.loads((dataset.folder / "findings.json").read_text())
    assert findings["train"]["image_missing"]["names"] == ["train_0.png"]
    assert findings["val"] == {}


def test_dangling_annotations_are_told_even_where_only_part_of_the_images_is_used(tmp_path):
    write_coco_folder(tmp_path)
    path = tmp_path / "annotations/instances_train.json"
    labels = json.loads(path.read_text())
    labels["annotations"] += [{**labels["annotations"][0], "id": 900, "image_id": 12345}]
    path.write_text(json.dumps(labels))
    dataset = prepared(tmp_path, max_images={"train": 2})
    findings = json.loads((dataset.folder / "findings.json").read_text())
    assert findings["train"]["image_unknown"]["names"] == ["annotation 900 (image 12345)"]


def test_square_photos_of_one_split_follow_what_another_split_shows(tmp_path):
    for split, size in (("train", (12, 16)), ("val", (12, 12))):
        labels = coco_dict([coco_image(1, "a.jpg", size)], [coco_annotation(1, 1, "car", SQUARE)])
        write_json(tmp_path / f"annotations/instances_{split}.json", labels)
        write_picture(tmp_path / split / "a.jpg", size, orientation=6)
    dataset = prepared(tmp_path)
    assert not dataset.indices["train"].rotate(0), "labelled as stored: the size tells"
    assert not dataset.indices["val"].rotate(0), "square: nothing but the other split can tell"


def test_an_empty_info_is_no_obstacle(tmp_path):
    write_coco_folder(tmp_path)
    path = tmp_path / "annotations/instances_train.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"info": None}))
    assert prepared(tmp_path)


def test_a_photo_beside_the_others_that_no_label_mentions_is_noted(tmp_path):
    write_coco_folder(tmp_path)
    write_picture(tmp_path / "train/new.png", (12, 16))
    findings = json.loads((prepared(tmp_path).folder / "findings.json").read_text())
    assert findings["train"]["image_unlabelled"]["names"] == ["new.png"]


def test_the_cache_may_lie_below_the_root_without_being_taken_for_labels(tmp_path):
    write_labels(tmp_path, "a", shape("car"))
    write_labels(tmp_path, "b", shape("car"))
    write_picture(tmp_path / "b.png", SIZE, seed=1)
    options = {"name": "x", "reader": LabelmeReader, "root": str(tmp_path), "split_ratio": {"train": 1, "val": 1}}
    first, second = (sources.folder(cache_dir=str(tmp_path / "data"), **options) for _ in range(2))
    assert first.folder == second.folder
    assert not any(json.loads((second.folder / "findings.json").read_text()).values())


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def refused(self):
        raise PermissionError(13, "Permission denied", str(tmp_path / "secret"))

    monkeypatch.setattr(CocoReader, "label_files", refused)
    with pytest.raises(InstsegError, match=r"dataset.root=.*not allowed to read or write .*secret"):
        prepared(tmp_path)


# ---- dividing the same way again


def test_images_that_a_limit_leaves_out_are_listed_as_unused_so_that_the_splits_can_be_used_again(tmp_path):
    write_split(tmp_path, "everything", [f"{i}.png" for i in range(20)])
    before = prepared(tmp_path, max_images={"train": 5})
    written = json.loads((before.folder / "splits.json").read_text())
    assert {split: len(names) for split, names in written.items()} == {"train": 5, "val": 3, "test": 3, "unused": 9}
    again = prepared(tmp_path, splits_file=str(before.folder / "splits.json"), seed=7)
    assert {split: set(file_names(again, split)) for split in ("train", "val", "test")} == {
        split: set(names) for split, names in written.items() if split != "unused"
    }


def test_images_that_a_splits_file_leaves_out_stay_listed_as_unused_however_often_the_splits_are_used_again(tmp_path):
    write_split(tmp_path, "train", [f"{i}.png" for i in range(4)])
    write_split(tmp_path, "val", ["8.png", "9.png"])
    by_hand = {
        "train": ["train/0.png", "train/1.png"],
        "val": ["val/8.png"],
        "unused": ["train/2.png", "train/3.png", "val/9.png"],
    }
    (tmp_path / "mine.json").write_text(json.dumps(by_hand))
    before = prepared(tmp_path, splits_file=str(tmp_path / "mine.json"))
    again = prepared(tmp_path, splits_file=str(before.folder / "splits.json"))
    for dataset in (before, again):
        written = json.loads((dataset.folder / "splits.json").read_text())
        assert {split: sorted(names) for split, names in written.items()} == by_hand


def test_every_image_is_val_in_one_of_the_folds_and_the_note_says_which(tmp_path):
    write_split(tmp_path, "everything", [f"{i}.png" for i in range(10)])
    folds = [prepared(tmp_path, folds=5, fold=fold) for fold in range(5)]
    assert sorted(name for dataset in folds for name in file_names(dataset, "val")) == [f"{i}.png" for i in range(10)]
    assert folds[3].notes[0] == "Fold 3 of 5 (seed 0): train 8, val 2."


def test_photos_that_look_alike_stay_in_one_split_unless_that_is_switched_off(tmp_path):
    write_split(tmp_path, "everything", [f"{i}.png" for i in range(12)])
    for copy in ("7", "8", "9", "10"):
        (tmp_path / f"everything/{copy}.png").write_bytes((tmp_path / "everything/6.png").read_bytes())
    dataset = prepared(tmp_path)
    homes = {split for split in dataset.indices for name in file_names(dataset, split) if name in ("6.png", "7.png")}
    assert len(homes) == 1
    assert dataset.notes[1] == "5 images look alike, in 1 group: each group stays in one split."
    assert "One of these groups has 5 of 12 images" in dataset.notes[2]
    assert len(prepared(tmp_path, group_by=None).notes) == 1


# ---- the cache


@pytest.fixture
def count_parses(monkeypatch):
    parses = []
    monkeypatch.setattr(coco, "load_coco", lambda *given, load=coco.load_coco: parses.append(given) or load(*given))
    return parses


def test_a_second_call_finds_the_indices_without_parsing(tmp_path, count_parses):
    write_coco_folder(tmp_path)
    first = prepared(tmp_path)
    assert len(count_parses) == 2
    second = prepared(tmp_path)
    assert len(count_parses) == 2
    assert second.folder == first.folder
    assert second.fingerprint.startswith("test-")


@pytest.mark.parametrize(
    "option",
    [
        {"seed": 1},
        {"categories": ["dog"]},
        {"max_images": {"train": 2}},
        {"empty_ratio": 0.0},
        {"split_ratio": {"train": 1, "val": 1}},
        {"splits": {"train": {"annotations": "annotations/instances_train.json", "images": "train"},
                    "val": {"annotations": "annotations/instances_val.json", "images": "val"}}},
    ],
    ids=lambda option: next(iter(option)),
)  # fmt: skip
def test_another_option_builds_anew(tmp_path, option):
    write_coco_folder(tmp_path)
    assert prepared(tmp_path, **option).folder != prepared(tmp_path).folder


def test_a_changed_json_builds_anew(tmp_path):
    write_coco_folder(tmp_path)
    before = prepared(tmp_path)
    path = tmp_path / "annotations/instances_train.json"
    labels = json.loads(path.read_text())
    labels["annotations"].pop(0)
    path.write_text(json.dumps(labels))
    after = prepared(tmp_path)
    assert after.folder != before.folder
    assert after.indices["train"].num_instances == before.indices["train"].num_instances - 1


def test_a_json_that_was_touched_or_copied_is_the_same_and_one_of_the_same_size_and_time_is_not(tmp_path, count_parses):
    write_coco_folder(tmp_path)
    before = prepared(tmp_path)
    path = tmp_path / "annotations/instances_train.json"
    os.utime(path, ns=(1, 1))
    assert prepared(tmp_path).folder == before.folder and len(count_parses) == 2
    text = path.read_text()
    path.write_text(text.replace('"dog"', '"cat"'))
    os.utime(path, ns=(1, 1))
    assert prepared(tmp_path).categories.names == ("car", "cat", "cake", "dog")


def test_labels_that_rest_are_read_once_and_those_of_a_moment_ago_again(tmp_path, monkeypatch):
    write_coco_folder(tmp_path)
    read = []
    monkeypatch.setattr(
        file_states, "_digest", lambda path, digest=file_states._digest: read.append(path) or digest(path)
    )
    labels = sorted(str(path) for path in (tmp_path / "annotations").iterdir())

    def read_at_a_start() -> list[str]:
        read.clear()
        prepared(tmp_path)
        return [path for path in read if path in labels]

    assert [read_at_a_start() for _ in range(2)] == [labels, labels], "they may change again within a tick of the clock"
    monkeypatch.setattr(label_digests, "SETTLED_NS", 0)
    assert [read_at_a_start() for _ in range(2)] == [labels, []]
    monkeypatch.setattr(time, "time_ns", lambda: 0)  # a clock that went back
    assert [read_at_a_start() for _ in range(2)] == [[], []], "stamps are compared with stamps alone"
    Path(labels[0]).write_text(Path(labels[0]).read_text())
    assert [read_at_a_start() for _ in range(2)] == [labels[:1], labels[:1]]


def rewritten_as_a_wider_one(path: Path) -> None:
    write_picture(path, (48, 80))


CHANGES_OF_AN_IMAGE = {
    "gone": (Path.unlink, 3),
    "emptied": (lambda path: path.write_bytes(b""), 3),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:60]), 3),
    "resized": (rewritten_as_a_wider_one, 3),
    "another picture": (lambda path: write_picture(path, (48, 64), seed=99), 4),
    "a link to nothing": (lambda path: (path.unlink(), path.symlink_to("nowhere")), 3),
}


@pytest.mark.parametrize("change", CHANGES_OF_AN_IMAGE)
def test_an_image_that_changed_since_it_was_indexed_is_found_and_one_that_came_back_too(tmp_path, caplog, change):
    write_coco_folder(tmp_path)
    path = tmp_path / "train/train_0.png"
    good, times = path.read_bytes(), path.stat()
    first = prepared(tmp_path)
    alter, num_left = CHANGES_OF_AN_IMAGE[change]
    alter(path)
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="instseg"):
        second = prepared(tmp_path)
    kind = "gone" if not path.exists() else "changed"
    assert (
        f"images have changed since they were indexed: 1 {kind} ({path}); the dataset is indexed again" in caplog.text
    )
    assert len(second.indices["train"]) == num_left and second.folder != first.folder
    assert len(first.indices["train"]) == 4, "a training that is running has the folder that it began with"
    path.unlink(missing_ok=True)
    path.write_bytes(good)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    caplog.clear()
    assert prepared(tmp_path).folder == first.folder and not caplog.messages


def test_an_image_that_was_missing_and_has_come_is_taken_in(tmp_path, count_parses):
    write_coco_folder(tmp_path)
    away = (tmp_path / "train/train_0.png").rename(tmp_path / "away.png")
    assert len(prepared(tmp_path).indices["train"]) == 3
    assert len(prepared(tmp_path).indices["train"]) == 3
    assert len(count_parses) == 2, "still missing: nothing to do"
    away.rename(tmp_path / "train/train_0.png")
    assert len(prepared(tmp_path).indices["train"]) == 4


@pytest.mark.parametrize("folder", ["", "part2", "a new one/deeper"])
def test_an_image_that_was_missing_and_has_come_in_a_folder_without_others_is_taken_in(tmp_path, count_parses, folder):
    root, away = tmp_path / "data", tmp_path / "away.png"
    write_coco_folder(root)
    (root / "train/train_0.png").rename(away)
    (root / "part2").mkdir()
    assert len(prepared(root).indices["train"]) == 3
    write_picture(root / folder / "another.png", (5, 5))
    assert len(prepared(root).indices["train"]) == 3 and len(count_parses) == 2, "no image that is missing"
    (root / folder / "another.png").rename(root / "another.png")
    away.rename(root / folder / "TRAIN_0.png")
    assert len(prepared(root).indices["train"]) == 4


@pytest.mark.parametrize(("reader", "write"), [(CvatReader, cvat_xml), (DarwinReader, darwin_json)])
def test_every_reader_that_seeks_images_by_name_finds_one_in_a_new_folder_later(tmp_path, reader, write):
    write(tmp_path / "data")
    photo = next(path for path in sorted(tmp_path.rglob("*")) if path.suffix in (".jpg", ".png"))
    away = photo.rename(tmp_path / photo.name)
    options = {"name": "test", "root": str(tmp_path / "data"), "cache_dir": str(tmp_path / "cache")}
    few = sources.folder(reader=reader, **options)
    (tmp_path / "data/part2").mkdir()
    away.rename(tmp_path / "data/part2" / photo.name)
    every = sources.folder(reader=reader, **options)
    assert sum(map(len, every.indices.values())) > sum(map(len, few.indices.values()))


@pytest.mark.parametrize("first", [b"broken", None], ids=["broken", "of another size"])
def test_an_image_that_could_not_be_used_and_was_replaced_is_taken_in(tmp_path, first):
    write_coco_folder(tmp_path)
    path = tmp_path / "train/train_0.png"
    good = path.read_bytes()
    path.write_bytes(first) if first else write_picture(path, (5, 5))
    assert len(prepared(tmp_path).indices["train"]) == 3
    path.write_bytes(good)
    assert len(prepared(tmp_path).indices["train"]) == 4


def test_an_image_whose_time_lies_ahead_is_one_like_others(tmp_path, count_parses):
    write_coco_folder(tmp_path)
    ahead = time.time_ns() + 10**18
    for path in tmp_path.rglob("*.*"):
        os.utime(path, ns=(ahead, ahead))
    assert prepared(tmp_path).folder == prepared(tmp_path).folder and len(count_parses) == 2
    write_picture(tmp_path / "train/train_0.png", (48, 64), seed=5)
    prepared(tmp_path)
    assert len(count_parses) == 4, "older than before counts as changed"


# ---- images that cannot be used


def emptied(path: Path) -> None:
    path.write_bytes(b"")


LOSSES = {"missing": Path.unlink, "empty": emptied, "resized": rewritten_as_a_wider_one}


@pytest.mark.parametrize(("lost", "how"), in_turns(range(6), LOSSES))
def test_an_image_that_cannot_be_used_is_left_out_before_the_others_are_divided(tmp_path, lost, how):
    write_split(tmp_path, "everything", [f"{i}.png" for i in range(6)])
    LOSSES[how](tmp_path / f"everything/{lost}.png")
    for _ in range(2):
        dataset = prepared(tmp_path)
        assert [len(dataset.indices[split]) for split in ("train", "val", "test")] == [3, 1, 1]
        written = json.loads((dataset.folder / "splits.json").read_text())
        assert written["unused"] == [f"{lost}.png"]
        findings = read_findings(dataset.folder / "findings.json")
        assert [len(names) for names in findings["all"].names.values()] == [1]
        assert not any(findings[split].names for split in dataset.indices)
    again = prepared(tmp_path, splits_file=str(dataset.folder / "splits.json"))
    assert {split: file_names(again, split) for split in again.indices} == {
        split: file_names(dataset, split) for split in dataset.indices
    }


def test_an_image_that_cannot_be_used_is_in_no_fold(tmp_path):
    write_split(tmp_path, "everything", [f"{i}.png" for i in range(6)])
    (tmp_path / "everything/3.png").unlink()
    sizes = [len(prepared(tmp_path, folds=5, fold=fold).indices["val"]) for fold in range(5)]
    assert sizes == [1, 1, 1, 1, 1]


def test_too_few_images_that_can_be_used_are_refused_with_the_reason(tmp_path):
    write_split(tmp_path, "everything", [f"{i}.png" for i in range(3)])
    (tmp_path / "everything/1.png").unlink()
    with pytest.raises(InstsegError, match=r"2 images in 2 groups .*; image files do not exist; left out: 1 \(1.png\)"):
        prepared(tmp_path)
    for path in (tmp_path / "everything").iterdir():
        emptied(path)
    with pytest.raises(
        InstsegError, match=r"none of the images could be used; they were sought in .*everything; image"
    ):
        prepared(tmp_path)


# ---- builds that end early


@pytest.mark.parametrize(
    ("error", "told"), [(KeyboardInterrupt, KeyboardInterrupt), (OSError, InstsegError), (InstsegError, InstsegError)]
)
def test_an_interrupted_build_leaves_nothing_and_the_next_one_is_whole(tmp_path, monkeypatch, error, told):
    write_coco_folder(tmp_path)
    with monkeypatch.context() as patched:

        def interrupted(*_args, **_kwargs):
            raise error("interrupted")

        patched.setattr(prepare, "write_records", interrupted)
        with pytest.raises(told):
            prepared(tmp_path)
    assert indices(tmp_path) == [] and gc.isenabled()
    assert len(prepared(tmp_path).indices["train"]) == 4 and gc.isenabled()


def test_another_process_that_was_faster_is_no_error(tmp_path, monkeypatch):
    write_coco_folder(tmp_path)

    def slow(*args, write=prepare.write_records):
        write(*args)
        monkeypatch.setattr(prepare, "write_records", write)
        monkeypatch.setattr(prepare, "exclusive_lock", lambda path, what: nullcontext())  # of a machine without ours
        prepared(tmp_path)

    monkeypatch.setattr(prepare, "write_records", slow)
    dataset = prepared(tmp_path)
    assert len(dataset.indices["train"]) == 4
    assert indices(tmp_path) == [dataset.folder]


def test_images_that_are_not_there_at_all_are_an_error_that_says_where_they_were_sought(tmp_path):
    write_coco_folder(tmp_path)
    for path in (tmp_path / "val").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InstsegError, match=r"split val: none of its images could be used; they were sought in .*val"):
        prepared(tmp_path)


def test_forty_thousand_categories_are_indexed_in_a_moment(tmp_path):
    number = 40_000
    images = [coco_image(i, f"{i}.png", SIZE) for i in range(1, 5)]
    annotations = [coco_annotation(i, i, number, [SQUARE.tolist()]) for i in range(1, 5)]
    categories = [{"id": i, "name": f"category {i}"} for i in range(1, number + 1)]
    write_json(tmp_path / "x.json", {"images": images, "annotations": annotations, "categories": categories})
    for image in images:
        write_picture(tmp_path / image["file_name"], SIZE, image["id"])
    began = time.process_time()
    index = prepared(tmp_path, group_by=None).indices["train"]
    assert index.ground_truth(0).labels.tolist() == [number]
    assert time.process_time() - began < 8  # the square of this number of steps would be minutes


# ---- real folders


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared photos")
@pytest.mark.parametrize(
    ("folder", "num_images", "per_category"),
    first(
        2,
        [
            ("coco_tiny", 160, {"cake": 8, "car": 72, "dog": 6, "person": 359, "cat": 8}),
            ("labelstudio_car_truck", 45, {"mobil": 20, "truk": 25}),
            ("coco128", 128, {"cake": 4, "car": 47, "dog": 9, "person": 259, "cat": 4}),
            ("labelstudio_cans_bbox_only", 24, None),
        ],
    ),
)
def test_real_folders_have_the_instances_they_are_said_to_have(tmp_path, folder, num_images, per_category):
    load = {"name": "x", "reader": CocoReader, "root": str(SHARED / folder), "cache_dir": str(tmp_path)}
    dataset = sources.folder(**load)
    again = time.process_time()
    dataset = sources.folder(**load)
    assert time.process_time() - again < 0.5
    splits = {index.folder: index for index in dataset.indices.values()}.values()
    assert sum(map(len, splits)) == num_images
    counts = dict(zip(dataset.categories.names, sum(i.instances_per_category() for i in splits), strict=True))
    findings = json.loads((dataset.folder / "findings.json").read_text())
    if per_category is None:
        assert sum(counts.values()) == 106
        assert sum(len(found["box_only"]["names"]) for found in findings.values() if found) == 106
    else:
        crowds = sum(sum(i.ground_truth(n).iscrowd.sum() for n in range(len(i))) for i in splits)
        assert sum(counts.values()) + crowds == {"coco_tiny": 1520, "coco128": 939}.get(folder, 45)
        assert all(per_category[name] - crowds <= counts[name] <= per_category[name] for name in per_category)
        assert not any(findings.values())
