"""The environment of a run is described whatever lies in the repository and stands in the command."""

from __future__ import annotations

import subprocess

from instseg import __version__
from instseg.runs.environment import describe_git, describe_start
from instseg.runs.manifest import add_start, newest_start


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
    assert described.untracked == []
    assert "-gr\N{REPLACEMENT CHARACTER}n" in described.dirty_diff


def test_new_files_are_named_that_no_commit_and_no_diff_shows(tmp_path):
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    (tmp_path / "my_loss.py").touch()
    described = describe_git(tmp_path)
    assert described is not None and described.untracked == ["my_loss.py"]


def test_a_start_names_instseg_the_processor_and_the_number_of_processes():
    start = describe_start(["train.py"], 1, "f00", 4)
    assert start.packages["instseg"] == __version__
    assert start.processes == 4
    assert start.hardware.cpu


def test_a_folder_whose_name_is_not_utf_8_does_not_stop_the_run(tmp_path):
    command = ["train.py", "dataset.root=gr\udcfcn"]  # as Python reads the byte FC
    add_start(tmp_path, describe_start(command, 1, "f00", 1))
    assert newest_start(tmp_path).command == ["train.py", r"dataset.root=gr\udcfcn"]
