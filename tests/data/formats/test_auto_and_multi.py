"""Folders whose format is told by what lies in them, and several folders as one dataset."""

from __future__ import annotations

import json
import logging
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from factories import SHARED, write_coco_folder, write_picture
from hydra.core.override_parser.overrides_parser import OverridesParser
from labelme_files import SIZE, shape, write_labels
from mask_pictures import write_mask

from instseg.core.errors import InstsegError
from instseg.core.files import mark_as_cache
from instseg.data.dataset import InstanceDataset
from instseg.data.formats import auto
from instseg.data.formats.auto import FORMATS, AutoReader, recognise_format
from instseg.data.formats.multi import MultiReader
from instseg.data.formats.several_exports import read_together
from instseg.data.prepared import PreparedDataset
from instseg.data.sources import folder
from instseg.data.transforms.augmentation import Augmentation


def write_labelme(root: Path, *names: str, label: str = "car") -> Path:
    """An image and a json with one triangle for each name, which may have folders."""
    for seed, name in enumerate(names):
        write_labels(root, name, shape(label))
        write_picture(root / f"{name}.png", SIZE, seed)
    return root


def write_yolo(root: Path, *names: str, label: str = "car") -> Path:
    for seed, name in enumerate(names):
        write_picture(root / f"images/{name}.jpg", (12, 16), seed + 50)
        (root / "labels").mkdir(exist_ok=True)
        (root / f"labels/{name}.txt").write_text("0 0.1 0.1 0.9 0.1 0.1 0.9\n")
    (root / "data.yaml").write_text(f"train: images\nnames: [{label}]\n")
    return root


def read(root: Path, **options) -> PreparedDataset:
    return folder(name="x", reader=AutoReader, root=str(root), cache_dir=str(root / ".cache"), **options)


def read_sources(root: Path, sources: dict, **options) -> PreparedDataset:
    cache = str(root / ".cache")
    return folder(name="x", reader=MultiReader, root=str(root), cache_dir=cache, sources=sources, **options)


def photos(dataset: PreparedDataset, root: Path) -> dict[str, set[str]]:
    """Of each split, as paths from the root."""
    return {
        split: {index.path(i).relative_to(root).as_posix() for i in range(len(index))}
        for split, index in dataset.indices.items()
    }


# ---- auto


def test_the_format_is_recognised_and_what_was_found_is_said(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    dataset = read(write_labelme(tmp_path, "a", "b", "c"))
    assert dataset.categories.names == ("car",)
    assert "found 3 LabelMe json; dataset=labelme reads it too" in caplog.text


def test_coco_and_yolo_are_told_apart(tmp_path):
    assert recognise_format(write_coco_folder(tmp_path / "a"))[0] == "coco"
    assert recognise_format(write_yolo(tmp_path / "b", "1"))[0] == "yolo"


def test_a_folder_with_two_formats_asks_which(tmp_path):
    write_labelme(tmp_path, "a")
    write_yolo(tmp_path, "b")
    with pytest.raises(InstsegError, match=r"more than one format. Choose dataset=labelme \(.*\); dataset=yolo \("):
        recognise_format(tmp_path)


def test_images_without_labels_are_answered_with_what_there_is_and_the_way_out(tmp_path):
    write_picture(tmp_path / "photo.jpg", (4, 4))
    with pytest.raises(InstsegError, match=r"no labels found in any known format .* it holds photo\.jpg.*save=\["):
        recognise_format(tmp_path)


def test_the_label_file_of_one_image_is_answered_with_its_folder(tmp_path):
    write_labelme(tmp_path, "a", "b")
    with pytest.raises(InstsegError, match=rf"a\.json: no labels of a whole dataset.* give dataset\.root={tmp_path}$"):
        recognise_format(tmp_path / "a.json")


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_is_seen_in_a_folder_of_images_and_notes(tmp_path, name):
    write_picture(tmp_path / "photo.jpg", (4, 4))
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "settings.json").write_text('{"a": [1, 2]}')
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    assert FORMATS[name][0].recognise(tmp_path) is None


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared photos")
@pytest.mark.parametrize(
    ("folder_name", "expected"),
    [
        *((name, "coco") for name in ("coco_tiny", "coco128")),
        *((f"labelme_{name}", "labelme") for name in ("fruits", "official_example", "traffic_signs", "v2_no_version")),
        ("labelme_vehicles_rectangles", "labelme"),
        *((f"labelstudio_{name}", "labelstudio") for name in ("cans_bbox_only", "car_truck")),
        *((f"openimages_{name}", "openimages") for name in ("masks", "v6_tiny_fixture")),
        *((name, "voc") for name in ("openimages_voc_xml", "voc_instance_png")),
    ],
)
def test_real_folders_are_recognised(folder_name, expected):
    assert recognise_format(SHARED / folder_name)[0] == expected


# ---- multi


def test_two_tools_make_one_dataset_whose_categories_are_joined_by_name(tmp_path):
    write_labelme(tmp_path / "phone", *"abc", label="car")
    write_yolo(tmp_path / "drone", *"abc", label="auto")
    sources = {"phone": {"root": "phone"}, "drone": {"root": "drone", "format": "yolo", "rename": {"auto": "car"}}}
    dataset = read_sources(tmp_path, sources)
    assert dataset.categories.names == ("car",)
    everything = {f"phone/{name}.png" for name in "abc"} | {f"drone/images/{name}.jpg" for name in "abc"}
    written = json.loads((dataset.folder / "splits.json").read_text())
    assert {name for split in written.values() for name in split} == everything
    assert all(index.path(i).is_file() for index in dataset.indices.values() for i in range(len(index)))


def test_what_one_source_has_split_stays_and_what_the_other_has_not_is_divided(tmp_path):
    write_labelme(tmp_path / "split", "train/a", "train/b", "val/c")
    write_yolo(tmp_path / "loose", *"abcd")
    dataset = read_sources(tmp_path, {"one": {"root": "split"}, "two": {"root": "loose"}})
    found = photos(dataset, tmp_path)
    assert {"split/train/a.png", "split/train/b.png"} < found["train"]
    assert "split/val/c.png" in found["val"]
    assert {name for split in found.values() for name in split if "loose" in name} == {
        f"loose/images/{name}.jpg" for name in "abcd"
    }


@pytest.mark.parametrize("options", [{}, {"folds": 2}])
def test_a_split_of_one_source_knows_the_categories_of_the_others(tmp_path, options):
    write_labelme(tmp_path / "split", "train/a", "train/b", "val/c", "test/d", label="dog")
    write_yolo(tmp_path / "loose", *"abcdef")
    dataset = read_sources(tmp_path, {"one": {"root": "split"}, "two": {"root": "loose"}}, **options)
    assert set(dataset.categories.names) == {"car", "dog"}
    assert all(index.categories == dataset.categories for index in dataset.indices.values())


def partial_sources(root: Path, labels: list[str]) -> dict[str, dict[str, object]]:
    """Photos with a car each, and a folder with a truck each of which only some categories are labelled."""
    write_labelme(root / "a", *(f"{i}" for i in range(6)))
    write_yolo(root / "b", *(f"b{i}" for i in range(6)), label="truck")
    return {"a": {"root": "a"}, "b": {"root": "b", "labels": labels}}


def test_what_a_source_has_not_labelled_completely_is_known_for_each_of_its_images(tmp_path):
    dataset = read_sources(tmp_path, partial_sources(tmp_path, ["truck"]))
    assert dataset.categories.names == ("car", "truck")
    for index in dataset.indices.values():
        for i in range(len(index)):
            unlabelled = (1,) if index.path(i).suffix == ".jpg" else ()
            assert index.unlabelled(i) == index.ground_truth(i).unlabelled == unlabelled
    sample = InstanceDataset(dataset.indices["train"], Augmentation(32, 32), True, 0)[0]
    expected = dataset.indices["train"].unlabelled(0)
    assert expected == (() if sample.target.unlabelled is None else tuple(sample.target.unlabelled.tolist()))


def test_instances_of_a_category_that_a_source_labels_in_part_teach_and_are_not_measured(tmp_path):
    index = read_sources(tmp_path, partial_sources(tmp_path, ["car"])).indices["train"]
    (i,) = [i for i in range(len(index)) if index.path(i).suffix == ".jpg"][:1]
    assert index.instances(i).labels.tolist() == [2]
    assert index.ground_truth(i).iscrowd.tolist() == [True]


@pytest.mark.parametrize(
    ("labels", "unlabelled"), [(["vehicle"], ()), (["car", "truck"], ()), (["truck"], (1,)), ([], (1,))]
)
def test_a_category_made_of_several_is_labelled_where_it_is_named_or_all_of_them_are(tmp_path, labels, unlabelled):
    rename = {"car": "vehicle", "truck": "vehicle"}
    index = read_sources(tmp_path, partial_sources(tmp_path, labels), rename=rename).indices["train"]
    assert {index.unlabelled(i) for i in range(len(index)) if index.path(i).suffix == ".jpg"} == {unlabelled}


def test_a_declared_category_that_does_not_exist_is_answered_with_a_near_one(tmp_path):
    with pytest.raises(InstsegError, match=r"dataset\.sources\.b\.labels: the labels have no category 'truk'.*truck"):
        read_sources(tmp_path, partial_sources(tmp_path, ["truk"]))


def test_each_source_has_its_own_exif_frame(tmp_path):
    for source, size in (("upright", (16, 12)), ("stored", (12, 16))):
        write_labelme(tmp_path / source, "tells", "square", "third")
        write_picture(tmp_path / source / "tells.png", (12, 16), 1, orientation=6)
        write_picture(tmp_path / source / "square.png", (12, 12), 2, orientation=6)
        for name, (height, width) in (("tells", size), ("square", (12, 12))):
            path = tmp_path / source / f"{name}.json"
            content = json.loads(path.read_text()) | {"imageHeight": height, "imageWidth": width}
            path.write_text(json.dumps(content))
    dataset = read_sources(tmp_path, {name: {"root": name} for name in ("upright", "stored")}, group_by=None)
    rotate = {i.file_name(n): i.rotate(n) for i in dataset.indices.values() for n in range(len(i))}
    assert rotate["upright/square.png"]
    assert not rotate["stored/square.png"]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (None, "dataset=multi needs sources"),
        ({"a": {"format": "coco"}}, r"dataset.sources.a: expected \{root: DIR"),
        ({"a": "phone"}, r"dataset.sources.a: expected \{root: DIR"),
        ({"a": {"root": "phone", "format": "labelmee"}}, "format 'labelmee' is not known; expected auto, labelme"),
        ({"a": {"root": "phone", "colour": 1}}, "dataset.colour: this format has no such option"),
        ({"a": {"root": "phone", "rename": {"dog": "cat"}}}, "dataset.rename: .*no category 'dog'"),
        ({"a": {"root": "nowhere"}}, "no such folder: .*nowhere"),
    ],
)
def test_sources_that_cannot_be_read_say_why(tmp_path, sources, message):
    write_labelme(tmp_path / "phone", *"abc")
    with pytest.raises(InstsegError, match=message):
        read_sources(tmp_path, sources)


def test_the_folder_above_several_exports_is_answered_with_the_line_that_reads_them_all(tmp_path):
    write_coco_folder(tmp_path / "site one", {"train": 4})
    write_coco_folder(tmp_path / "b/x", {"train": 4})
    (tmp_path / "b/x").rename(tmp_path / "two")
    mark_as_cache(tmp_path / "cache")
    write_coco_folder(tmp_path / "cache" / "index", {"train": 4})
    with pytest.raises(InstsegError, match=r"site one \(coco\), two \(coco\)\.") as told:
        recognise_format(tmp_path)
    sources = """'dataset.sources={site_one:{root:"site one"},two:{root:two}}'"""
    assert f"dataset=multi dataset.root={tmp_path} {sources}" in str(told.value)
    assert len(read_sources(tmp_path, {"site_one": {"root": "site one"}, "two": {"root": "two"}}).indices["train"]) > 0


def test_every_export_is_in_the_line_or_is_said_not_to_be_looked_at(tmp_path, monkeypatch):
    for number in range(14):
        write_coco_folder(tmp_path / f"{number:02}", {"train": 1})
    with pytest.raises(InstsegError, match=r"source_13:\{root:\"13\"\}") as told:
        recognise_format(tmp_path)
    assert "not looked at" not in str(told.value)
    monkeypatch.setattr(auto, "MAX_EXPORTS", 12)
    with pytest.raises(InstsegError, match=r"11 \(coco\), and maybe others of 2 folders that were not looked at\."):
        recognise_format(tmp_path)


FOLDERS = [
    "site-1",
    "site_1",
    "site_1_2",
    "2024-01",
    "caf\u00e9",
    "\u732b",
    "\u72ac",
    "null",
    "it's",
    'a "b"',
    "a,b: {c}",
    "_",
]


def test_the_line_for_several_folders_is_one_that_shell_and_hydra_read_whatever_they_are_called():
    _, root, sources = shlex.split(read_together([Path("/data/my sets") / name for name in FOLDERS]))
    parsed = OverridesParser.create().parse_overrides([root, sources])
    assert parsed[0].value() == "/data/my sets"
    given = parsed[1].value()
    assert [source["root"] for source in given.values()] == FOLDERS
    assert [str(name) for name in given][:6] == ["site_1", "site_1_3", "site_1_2", "source_2024_01", "cafe", "source_6"]
    assert all(type(name) is str and re.fullmatch(r"[a-z]\w*", name, re.ASCII) for name in given)


@pytest.mark.parametrize("count", [3, 300])
def test_a_folder_for_each_image_is_recognised_however_many_there_are(tmp_path, count):
    for n in range(count):
        write_mask(tmp_path / f"{n:04}/masks/x.png", np.ones(SIZE, np.uint8))
        (tmp_path / f"{n:04}/images").mkdir()
        (tmp_path / f"{n:04}/images/{n:04}.png").write_bytes(b"")
    assert recognise_format(tmp_path)[0] == "mask_folder"


def test_an_image_that_two_sources_label_is_read_once(tmp_path):
    write_labelme(tmp_path, "a", "b", "c", "d")
    for name in "abcd":
        (tmp_path / f"{name}.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    (tmp_path / "classes.txt").write_text("car\n")
    sources = {name: {"root": ".", "format": name} for name in ("labelme", "yolo")}
    dataset = read_sources(tmp_path, sources)
    splits = {index.folder: index for index in dataset.indices.values()}.values()
    assert sum(map(len, splits)) == 4 and sum(index.num_instances for index in splits) == 4
