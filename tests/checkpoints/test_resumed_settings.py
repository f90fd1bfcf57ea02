"""A resumed training uses the settings that are typed, and its records say so."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch
import yaml
from killed_runs import left_by, run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from instseg.checkpoints.description import read_description
from instseg.checkpoints.files import load_checkpoint

IN_THE_SECOND_EPOCH = "on_after_backward:5"
"""After the checkpoint that is written between the two."""


def shown_in_tensorboard(folder: Path, name: str) -> float:
    events = EventAccumulator(str(folder))
    events.Reload()
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    shown = HParamsPluginData.FromString(content).session_start_info.hparams
    return float(shown[name].number_value)


@pytest.mark.slow
def test_another_batch_size_between_two_epochs_is_used_and_recorded(tmp_path):
    folder = tmp_path / "larger"
    assert run(folder, kill=IN_THE_SECOND_EPOCH) == -signal.SIGKILL
    assert run(folder, "batch_size=4", resume=True) == 0
    left = left_by(folder)
    assert left["steps"] == 4 + 2 + 2, "an epoch of eight images in fours, and two of them in twos"
    assert [row["epoch"] for row in left["history"]] == ["1", "2", "3"]
    assert left["schedule"][0]["last_epoch"] == 3 * 2, "the schedule ends with the last epoch"
    checkpoint = folder / "checkpoints" / "last.ckpt"
    said = (
        yaml.safe_load((folder / "config.yaml").read_text())["batch_size"],
        read_description(load_checkpoint(checkpoint), checkpoint).config["batch_size"],
        shown_in_tensorboard(folder, "batch_size"),
    )
    assert said == (4, 4, 4)


@pytest.mark.slow
def test_a_training_that_had_stopped_early_resumes_with_more_patience(tmp_path):
    folder, stopping = tmp_path / "patient", ("callbacks=early_stopping", "+callbacks.early_stopping.min_delta=1000")
    stopping += ("trainer.max_epochs=4", "callbacks.pictures=null", "callbacks.curves=null")
    assert run(folder, *stopping, "callbacks.early_stopping.patience=1") == 0
    assert left_by(folder)["steps"] == 2 * 4
    assert run(folder, *stopping, "callbacks.early_stopping.patience=50", resume=True) == 0
    left = left_by(folder)
    assert left["steps"] == 4 * 4
    states = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    assert [state["patience"] for key, state in states.items() if key.startswith("EarlyStopping")] == [50]
