"""The manifest holds every start of a run, is whole or as before, and is read typed or refused."""

from __future__ import annotations

import json
import os

import pytest
from mutating import read_damaged_files
from run_starts import run_start

from instseg.core.errors import InstsegError
from instseg.core.records import RecordError
from instseg.runs.manifest import MANIFEST, add_start, newest_start, read_manifest


def test_each_start_adds_an_entry(tmp_path):
    for seed in (1, 2):
        add_start(tmp_path, run_start(seed=seed))
    assert [start.seed for start in read_manifest(tmp_path).starts] == [1, 2]
    assert newest_start(tmp_path) == run_start(seed=2)


def test_a_write_that_fails_leaves_the_earlier_manifest(tmp_path, monkeypatch):
    def fail(_):
        raise OSError("no space left on device")

    add_start(tmp_path, run_start())
    before = (tmp_path / MANIFEST).read_bytes()
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        add_start(tmp_path, run_start(seed=4))
    assert (tmp_path / MANIFEST).read_bytes() == before
    assert os.listdir(tmp_path) == [MANIFEST]  # noqa: PTH208


def test_what_an_early_version_did_not_note_is_none(tmp_path):
    add_start(tmp_path, run_start())
    content = json.loads((tmp_path / MANIFEST).read_text())
    (start,) = content["starts"]
    for holder, names in (
        (start, ["processes"]),
        (start["hardware"], ["cpu", "torch_threads"]),
        (content, ["version"]),
    ):
        for name in names:
            del holder[name]
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    read = newest_start(tmp_path)
    assert (read.processes, read.hardware.cpu, read.hardware.torch_threads) == (None, None, None)


def test_a_wrong_value_is_named_with_file_field_expected_found_and_what_to_do(tmp_path):
    add_start(tmp_path, run_start())
    path = tmp_path / MANIFEST
    path.write_text(path.read_text().replace('"seed": 3', '"seed": "three"'))
    with pytest.raises(RecordError) as caught:
        add_start(tmp_path, run_start())
    assert str(caught.value) == (
        f"{path}: field starts[0].seed: expected `int`, found `str`; if the file is damaged, remove it: the training "
        "needs no manifest to be resumed"
    )


def test_a_manifest_without_a_start_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(InstsegError, match=r"manifest\.json: expected a file, found none"):
        newest_start(tmp_path)
    (tmp_path / MANIFEST).write_text('{"starts": []}')
    with pytest.raises(InstsegError, match="field starts: expected at least one, found none"):
        newest_start(tmp_path)


def test_whatever_is_wrong_with_a_manifest_is_one_kind_of_error(tmp_path, tries):
    add_start(tmp_path, run_start())
    tried, refused = read_damaged_files(tmp_path / MANIFEST, lambda: newest_start(tmp_path), tries)
    assert tried > tries and refused > 0.8 * tried
