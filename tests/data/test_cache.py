"""The cache of prepared datasets is never trusted: what is damaged, cut short or stale is built again, and said."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
from factories import write_coco_folder
from mutating import NUM_MUTATIONS, read_damaged_files

from instseg.core.records import RecordError
from instseg.data import sources
from instseg.data.cache import open_prepared, read_state
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
def test_thousands_of_damaged_copies_of_each_file_are_read_or_refused_by_name(folder, name):
    path = folder / name
    tried, refused = read_damaged_files(path, lambda: OF_THE_CACHE[name](path))
    assert tried >= NUM_MUTATIONS and refused >= NUM_MUTATIONS / 3


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
        open_prepared(folder)


@pytest.mark.parametrize("splits", [[], ["train"], ["train", "val", "../../elsewhere"], ["train", "val", "train/"]])
def test_a_state_names_train_val_and_maybe_test_and_nothing_outside(folder, splits):
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "splits": splits}))
    with pytest.raises(RecordError, match=r"state\.json: field splits: expected train, val and maybe test"):
        open_prepared(folder)


@pytest.mark.parametrize("name", [*OF_THE_CACHE, "train/labels.npy", "val/points.npy"])
@pytest.mark.parametrize("content", [None, b"", b"{}"], ids=["missing", "empty", "of nothing"])
def test_a_damaged_cache_is_built_again_with_a_sentence_that_names_the_file(tmp_path, caplog, name, content):
    write_coco_folder(tmp_path)
    before = prepared(tmp_path)
    path = before.folder / name
    whole = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="instseg"):
        after = prepared(tmp_path)
    if content == b"{}" and name in ("findings.json", "splits.json"):
        assert not caplog.records, "nothing found, and nothing listed, are contents too"
    else:
        (told,) = caplog.messages
        assert str(path) in told and told.endswith("the dataset is indexed again")
        assert path.read_bytes() == whole
    assert after.folder == before.folder and len(after.indices["train"]) == 4


def test_a_file_in_the_place_of_the_cache_is_replaced(tmp_path):
    write_coco_folder(tmp_path)
    folder = prepared(tmp_path).folder
    shutil.rmtree(folder)
    folder.write_text("x")
    assert len(prepared(tmp_path).indices["train"]) == 4
