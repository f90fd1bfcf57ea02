"""The manifest is written whatever lies in the repository, and is whole or as before."""

from __future__ import annotations

import json
import subprocess

import pytest

from instseg import __version__
from instseg.runs import manifest
from instseg.runs.manifest import describe_git, describe_start, write_manifest


def git(folder, *arguments):
    who = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_a_change_in_another_encoding_does_not_stop_the_run(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "note.txt").write_bytes("grün\n".encode("latin-1"))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "note.txt").write_bytes("blaß\n".encode("latin-1"))
    described = describe_git(tmp_path)
    assert described is not None
    assert described["untracked"] == []
    assert "-gr\N{REPLACEMENT CHARACTER}n" in described["dirty_diff"]


def test_each_start_adds_an_entry(tmp_path):
    for seed in (1, 2):
        write_manifest(tmp_path / "manifest.json", seed, "f00", 1)
    assert [s["seed"] for s in json.loads((tmp_path / "manifest.json").read_text())["starts"]] == [1, 2]


def test_new_files_are_named_that_no_commit_and_no_diff_shows(tmp_path):
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    (tmp_path / "my_loss.py").touch()
    assert describe_git(tmp_path)["untracked"] == ["my_loss.py"]


def test_a_start_names_instseg_the_processor_and_the_number_of_processes():
    start = describe_start(1, "f00", 4)
    assert start["packages"]["instseg"] == __version__
    assert start["processes"] == 4
    assert start["hardware"]["cpu"]


def test_a_write_that_fails_leaves_the_earlier_manifest(tmp_path, monkeypatch):
    path = tmp_path / "manifest.json"
    write_manifest(path, 1, "f00", 1)
    before = path.read_bytes()
    monkeypatch.setattr(manifest.json, "dumps", lambda *_, **__: "\ud800")  # no UTF-8
    with pytest.raises(UnicodeEncodeError):
        write_manifest(path, 2, "f00", 1)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
