"""What is printed after a run holds whatever names and folders a user has."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from instseg.categories import Categories
from instseg.summary import print_dataset, print_summary

NAMES = ("[/x]", "[red]car")


class OneImage:
    num_instances, num_empty_images = 2, 0

    def __len__(self) -> int:
        return 1

    def instances_per_category(self):
        return np.array([1, 1])


def data_of(notes=()):
    categories = Categories(NAMES)
    prepared = SimpleNamespace(
        fingerprint="f00", categories=categories, indices={"val": OneImage(), "test": OneImage()}, notes=list(notes)
    )
    return SimpleNamespace(prepared=prepared, categories=categories)


def run_folder(tmp_path: Path, *checkpoints: str) -> Path:
    folder = tmp_path / "my [/runs]" / "shapes small" / "one"
    (folder / "checkpoints").mkdir(parents=True)
    for name in checkpoints:
        (folder / "checkpoints" / name).touch()
    return folder


def test_names_and_folders_are_printed_as_they_are(tmp_path, capsys):
    data = data_of(["taken from [/data]"])
    print_dataset(data.prepared)
    print_summary({"test/segm_map/[/x]": 0.5}, data, run_folder(tmp_path, "best.ckpt"), "fit")
    printed = capsys.readouterr().out
    assert printed.count("[/x]") == 2 and printed.count("[red]car") == 2
    assert "taken from [/data]" in printed and "my [/runs]" in printed


def test_printed_commands_can_be_pasted_into_a_shell(tmp_path, capsys):
    folder = run_folder(tmp_path, "best.ckpt")
    print_summary({}, data_of(), folder, "fit")
    lines = capsys.readouterr().out.splitlines()
    predict, look = (shlex.split(line) for line in lines if line.startswith(("predict:", "look:")))
    assert f"checkpoint={folder}" in predict
    assert look[-1] == str(folder.parents[1])


def test_the_last_checkpoint_is_named_where_there_is_no_best(tmp_path, capsys):
    print_summary({}, data_of(), run_folder(tmp_path / "a", "last.ckpt"), "fit")
    assert "checkpoints/last.ckpt" in capsys.readouterr().out
    print_summary({}, data_of(), run_folder(tmp_path / "b", "best.ckpt", "last.ckpt"), "fit")
    assert "last.ckpt" not in capsys.readouterr().out
