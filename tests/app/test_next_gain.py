"""The gain that is expected of images to label next: from the newest learning curve of the data of the checkpoint."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from sweeping import info, record

from instseg.app import next_gain
from instseg.app.next_gain import expected_gain
from instseg.core.errors import InstsegError
from instseg.data.splits.splits_file import write_splits_file
from instseg.sweeps.sweep_folder import SweepFolder


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A checkpoint of the data ``d1``, and learning curves of data named as the parents of their runs."""
    (tmp_path / "best.ckpt").write_bytes(bytes(range(256)))
    monkeypatch.setattr(next_gain, "describe", lambda path: SimpleNamespace(data_fingerprint="d1"))
    monkeypatch.setattr(next_gain, "newest_start", lambda run: SimpleNamespace(data_fingerprint=run.parent.name))
    return SimpleNamespace(curve="auto", checkpoint=str(tmp_path / "best.ckpt"), outputs=str(tmp_path))


def sweep(outputs: Path, date: str, data: str, last: float) -> None:
    """A learning curve from 0.1 to ``last`` on 20 training images."""
    folder = SweepFolder(outputs / "sweeps" / date)
    folder.write_info(info(strategy="learning_curve", options={}, values=["train_fraction"]))
    for number, (fraction, metric) in enumerate((("0.5", 0.1), ("1", last))):
        run = outputs / data / f"{date}_{number}"
        run.mkdir(parents=True)
        write_splits_file(run / "splits.json", {"train": [f"{i}.jpg" for i in range(20)]})
        folder.write(record(number, {"train_fraction": fraction}, metric, run_dir=str(run)))


def test_the_newest_curve_of_the_same_data_is_read(config, tmp_path):
    sweep(tmp_path, "2026-01-01", "d1", 0.15)
    sweep(tmp_path, "2026-01-02", "d1", 0.25)
    sweep(tmp_path, "2026-01-03", "another", 0.9)
    assert expected_gain(config, 20) == (
        "val/segm_map +0.150 from 10 to 20 labelled images; 20 more, chosen by chance, about +0.150 if each doubling "
        "brings as much"
    )


def test_a_curve_that_is_named_is_taken_whatever_its_data(config, tmp_path):
    sweep(tmp_path, "2026-01-03", "another", 0.9)
    config.curve = str(tmp_path / "sweeps" / "2026-01-03")
    assert expected_gain(config, 20).startswith("val/segm_map +0.800 from 10 to 20")


def test_a_folder_that_is_no_sweep_is_named(config, tmp_path):
    config.curve = str(tmp_path)
    with pytest.raises(InstsegError, match="expected the folder of a sweep"):
        expected_gain(config, 20)


def test_without_a_curve_of_the_data_the_command_that_measures_one_is_said(config, tmp_path):
    sweep(tmp_path, "2026-01-03", "another", 0.9)
    said = expected_gain(config, 20)
    assert said.startswith("unknown") and "train sweep=learning_curve dataset=auto dataset.root=MY_LABELS" in said
