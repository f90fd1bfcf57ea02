"""The cache of prepared datasets is never trusted: what is damaged, cut short or stale is built again, and said."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
from factories import write_coco_folder
from mutating import read_damaged_files
from sampled import in_turns

from instseg.core.records import RecordError
from instseg.data import label_digests, sources
from instseg.data.cache import read_state
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.index.layout import COLUMNS, check_index
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.findings_file import read_findings
from instseg.data.splits.splits_file import read_splits_file

OF_THE_CACHE = {
    "state.json": lambda path: read_state(path.parent),
    "findings.json": read_findings,
    "splits.json": read_splits_file,
    "train/meta.json": lambda path: check_index(path.parent),
}


def prepared(root: Path) -> PreparedDataset:
    return sources.folder(name="test", reader=CocoReader, root=str(root), cache_dir=str(root / "cache"))


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    write_coco_folder(root)
    (root / "train/train_0.png").unlink()  # so that there are findings, and an image that cannot be used
    return prepared(root).folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / original.name))


@pytest.mark.parametrize("name", OF_THE_CACHE)
def test_damaged_copies_of_each_file_are_read_or_refused_by_name(folder, name, tries):
    path = folder / name
    tried, refused = read_damaged_files(path, lambda: OF_THE_CACHE[name](path), tries)
    assert tried >= tries and refused >= tries / 3


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_that_is_missing_emptied_or_of_another_length_is_refused_by_name(folder, name):
    path = folder / "train" / f"{name}.npy"
    whole = path.read_bytes()
    path.unlink()
    damaged = [None, b"", *(whole[:end] for end in range(0, len(whole), 31)), whole + b"\0"]
    damaged += [whole[:at] + b"\xff" + whole[at + 1 :] for at in range(0, 128, 3)]  # in the header
    for content in damaged:
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(RecordError, match=rf"{name}\.npy"):
            check_index(path.parent)
    path.write_bytes(whole)
    check_index(path.parent)


@pytest.mark.parametrize("name", [name for name in COLUMNS if name.endswith("_offsets")])
def test_offsets_that_lead_elsewhere_are_refused(folder, name):
    path = folder / "train" / f"{name}.npy"
    whole = path.read_bytes()
    for at in range(128, len(whole)):  # a column of offsets has no byte that may differ but within the order
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :])
        with pytest.raises(RecordError, match=rf"{name}\.npy: expected numbers that rise from 0 to"):
            check_index(path.parent)


def test_a_label_of_no_category_is_refused(folder):
    path = folder / "train/labels.npy"
    path.write_bytes(path.read_bytes()[:-2] + (99).to_bytes(2, "little"))
    with pytest.raises(RecordError, match=r"labels\.npy: expected 1 to \d+, found others"):
        check_index(folder / "train")


@pytest.mark.parametrize("splits", [[], ["train"], ["train", "val", "../../elsewhere"], ["train", "val", "train/"]])
def test_a_state_names_train_val_and_maybe_test_and_nothing_outside(folder, splits):
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "splits": splits}))
    with pytest.raises(RecordError, match=r"state\.json: field splits: expected train, val and maybe test"):
        read_state(folder)


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def end_zeroed(path: Path) -> None:
    """As a power cut leaves a file whose last blocks had not been written."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))


def another_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = {
    "missing": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "halved": halved,
    "zeroed": zeroed,
    "with a zeroed end": end_zeroed,
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"}"),
    "of nothing": lambda path: path.write_bytes(b"{}"),
    "a folder": another_folder,
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_coco_folder(tmp_path_factory.mktemp("damaged"))


FILES = (*OF_THE_CACHE, "seal.json", "images.json", "train.json", "train/boxes.npy", "val/file_names.npy")


@pytest.mark.parametrize(("name", "damage"), in_turns(FILES, DAMAGES))
def test_a_damaged_cache_is_built_again_with_a_sentence_that_names_the_file(dataset, caplog, name, damage):
    before = prepared(dataset)
    path = before.folder / name
    whole = path.read_bytes()
    DAMAGES[damage](path)
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="instseg"):
        after = prepared(dataset)
    (told,) = caplog.messages
    assert str(path) in told and told.endswith("the dataset is indexed again")
    assert after.folder == before.folder and len(after.indices["train"]) == 4
    assert name == "seal.json" or path.read_bytes() == whole  # it has times


@pytest.mark.parametrize("name", ["train", "val"])
def test_a_split_that_is_gone_is_built_again(dataset, caplog, name):
    before = prepared(dataset)
    shutil.rmtree(before.folder / name)
    caplog.clear()
    assert len(prepared(dataset).indices[name]) == len(before.indices[name])
    assert caplog.messages[0].endswith("found no file; the dataset is indexed again")


def test_damaged_digests_of_labels_are_told_and_made_anew(dataset, caplog, monkeypatch):
    monkeypatch.setattr(label_digests, "SETTLED_NS", 0)  # the files are new: how new depends on the machine's speed
    before = prepared(dataset)
    (digests,) = (dataset / "cache/index").glob(".labels-*.json")
    digests.write_text("{")
    caplog.clear()
    assert prepared(dataset).folder == before.folder
    (told,) = caplog.messages
    assert str(digests) in told and told.endswith("all label files are read again")
    caplog.clear()
    assert prepared(dataset).folder == before.folder and not caplog.messages


def test_a_file_in_the_place_of_the_cache_is_replaced(tmp_path):
    write_coco_folder(tmp_path)
    folder = prepared(tmp_path).folder
    shutil.rmtree(folder)
    folder.write_text("x")
    assert len(prepared(tmp_path).indices["train"]) == 4
