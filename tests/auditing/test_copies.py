"""Images that are there twice, in one split or in two, and a splits file that keeps them apart."""

from __future__ import annotations

import json
import shlex
import shutil
import zlib

import pytest
from auditing.made import IMAGE_SIZE, audited_for, labelled, one_car_each
from factories import SHARED, make_picture, write_picture
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image as PilImage

from instseg.auditing.copies import TAIL_BYTES, identical_files
from instseg.auditing.dataset import audit_dataset
from instseg.auditing.report import Severity
from instseg.data import sources
from instseg.data.formats.coco.reader import CocoReader

OPTIONS = audited_for(min_size=60, max_size=80)


def copy_images(tmp_path, pairs):
    """(from, to) paths below the dataset's folder."""
    for source, copy in pairs:
        (tmp_path / copy).parent.mkdir(exist_ok=True)
        if not (tmp_path / source).exists():
            write_picture(tmp_path / source, IMAGE_SIZE, seed=zlib.crc32(source.encode()))
        shutil.copyfile(tmp_path / source, tmp_path / copy)


# ---- the same bytes


def test_files_of_the_same_bytes_are_grouped(tmp_path):
    contents = [b"a" * 10, b"b" * 10, b"a" * 10, b"a" * 11, b"b" * 10, b"", b""]
    paths = [tmp_path / str(i) for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    assert sorted(identical_files(paths)) == [[0, 2], [1, 4], [5, 6]]


def test_files_that_differ_only_before_their_last_bytes_are_no_copies(tmp_path):
    for name, first in (("a", b"1"), ("b", b"2")):
        (tmp_path / name).write_bytes(first + bytes(2 * TAIL_BYTES))
    assert identical_files([tmp_path / "a", tmp_path / "b"]) == []


def test_files_that_are_gone_are_like_no_other(tmp_path):
    assert identical_files([tmp_path / "a", tmp_path / "b"]) == []
    assert identical_files([]) == []


# ---- what is told of them


def test_a_fifth_of_val_in_train_is_a_warning_and_more_is_fatal(tmp_path, found):
    copy_images(tmp_path, [(f"train/train_{i}.png", f"val/val_{i}.png") for i in range(2)])
    assert found("leak_identical", {}).severity == Severity.WARNING
    copy_images(tmp_path, [("train/train_2.png", "val/val_2.png")])
    finding = found("leak_identical", {})
    assert finding.severity == Severity.FATAL and finding.counts == {"val": 3}
    assert finding.spots[0].name == "val_0.png" and finding.spots[0].other.name == "train_0.png"


def test_copies_in_val_and_test_do_not_keep_from_training(tmp_path, found):
    copy_images(tmp_path, [(f"val/val_{i}.png", f"test/test_{i}.png") for i in range(9)])
    finding = found("leak_identical", {"test": labelled(one_car_each("test", 10))})
    assert finding.severity == Severity.WARNING and finding.counts == {"test": 9}


def test_copies_in_one_split_are_good_to_know(tmp_path, found):
    copy_images(tmp_path, [("train/train_0.png", "train/train_4.png"), ("train/train_0.png", "train/train_7.png")])
    finding = found("copy_identical", {})
    assert finding.severity == Severity.INFO and finding.names == ["train_4.png", "train_7.png"]
    assert [spot.other.name for spot in finding.spots] == ["train_0.png"] * 2


def test_a_image_saved_anew_is_found_by_the_thorough_audit_and_is_never_fatal(tmp_path, found):
    for i in range(4):
        photo = PilImage.fromarray(make_picture((300, 400), seed=i))
        for split, size in (("train", (80, 60)), ("val", (72, 54))):
            (tmp_path / split).mkdir(exist_ok=True)
            photo.resize(size).resize((80, 60)).save(tmp_path / split / f"{split}_{i}.png")
    finding = found("leak_similar", {}, thorough=True)
    assert finding.severity == Severity.WARNING and finding.counts == {"val": 4}
    assert [spot.other.name for spot in finding.spots] == [f"train_{i}.png" for i in range(4)]
    assert found("leak_similar", {}) is None and found("leak_identical", {}) is None


def test_byte_copies_are_not_told_again_as_look_alikes(tmp_path, audited):
    copy_images(tmp_path, [("train/train_0.png", "val/val_0.png"), ("train/train_0.png", "train/train_4.png")])
    kinds = {finding.kind for finding in audited({}, thorough=True).findings}
    assert {"leak_identical", "copy_identical"} <= kinds
    assert not kinds & {"leak_similar", "copy_similar"}


# ---- the splits file


def test_the_splits_file_of_the_audit_mends_what_it_found(tmp_path, prepared):
    copies = [("train/train_0.png", "val/val_0.png"), ("train/train_0.png", "train/train_1.png")]
    copy_images(tmp_path, [*copies, ("val/val_3.png", "test/test_2.png")])
    splits = {split: labelled(one_car_each(split, 10)) for split in ("train", "val", "test")}
    report = audit_dataset(prepared(splits), OPTIONS, False, tmp_path / "run")
    (finding,) = (finding for finding in report.findings if finding.kind == "leak_identical")
    command = OverridesParser.create().parse_override(shlex.split(finding.commands[0])[0])
    assert command.key_or_group == "dataset.splits_file"
    unused = json.loads((tmp_path / "run/splits_without_copies.json").read_text())["unused"]
    assert unused == ["train/train_0.png", "train/train_1.png", "val/val_3.png"]
    fixed = prepared(splits, splits_file=command.value())
    assert [len(fixed.indices[split]) for split in ("train", "val", "test")] == [8, 9, 10]
    assert not [f for f in audit_dataset(fixed, OPTIONS, True).findings if f.kind.startswith("leak")]


def test_images_that_a_limit_left_out_stay_out_of_the_fixed_splits(tmp_path, prepared):
    copy_images(tmp_path, [("train/train_0.png", "val/val_0.png")])
    splits = {split: labelled(one_car_each(split, 10)) for split in ("train", "val")}
    limited = prepared(splits, max_images={"val": 10, "train": 9})
    train = [limited.indices["train"].file_name(i) for i in range(9)]
    left_out = next(f"train_{i}.png" for i in range(10) if f"train_{i}.png" not in train)
    audit_dataset(limited, OPTIONS, False, tmp_path / "run")
    fixed = json.loads((tmp_path / "run/splits_without_copies.json").read_text())
    assert set(fixed["unused"]) == {f"train/{left_out}", "train/train_0.png"}


def test_no_splits_file_is_written_where_there_is_nothing_to_mend_or_nothing_would_be_left(tmp_path, prepared, found):
    splits = {split: labelled(one_car_each(split, 2)) for split in ("train", "val")}
    audit_dataset(prepared(splits), OPTIONS, False, tmp_path / "run")
    copy_images(tmp_path, [(f"train/train_{i}.png", f"val/val_{i}.png") for i in range(2)])
    report = audit_dataset(prepared(splits), OPTIONS, False, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert "dataset.folds=5 dataset.fold=0 dataset.group_by=similar" in report.findings[0].commands


@pytest.mark.skipif(not (SHARED / "coco128").is_dir(), reason="needs the shared images")
def test_images_that_are_train_and_val_at_once_stop_a_training(tmp_path):
    labels = next((SHARED / "coco128").rglob("instances_*.json"))
    images = next(path.parent for path in (SHARED / "coco128").rglob("*.jpg"))
    both = {split: {"annotations": str(labels), "images": str(images)} for split in ("train", "val")}
    folder, cache = str(SHARED / "coco128"), str(tmp_path)
    prepared = sources.folder(name="both", reader=CocoReader, root=folder, cache_dir=cache, splits=both)
    (fatal,) = audit_dataset(prepared, audited_for(), False).of(Severity.FATAL)
    assert fatal.kind == "leak_identical" and fatal.count == 128
