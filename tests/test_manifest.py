"""The manifest is written whatever lies in the repository, and is whole or as before."""

from __future__ import annotations

import json
import subprocess

import pytest

from instseg import manifest
from instseg.manifest import describe_git, write_manifest


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
    assert "-gr\N{REPLACEMENT CHARACTER}n" in described["dirty_diff"]


def test_each_start_adds_an_entry(tmp_path):
    for seed in (1, 2):
        write_manifest(tmp_path / "manifest.json", seed, "f00")
    assert [s["seed"] for s in json.loads((tmp_path / "manifest.json").read_text())["starts"]] == [1, 2]


def test_a_write_that_fails_leaves_the_earlier_manifest(tmp_path, monkeypatch):
    path = tmp_path / "manifest.json"
    write_manifest(path, 1, "f00")
    before = path.read_bytes()
    monkeypatch.setattr(manifest.json, "dumps", lambda *_, **__: "\ud800")  # no UTF-8
    with pytest.raises(UnicodeEncodeError):
        write_manifest(path, 2, "f00")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
