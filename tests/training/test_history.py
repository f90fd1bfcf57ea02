"""A validation is one line that fits a narrow terminal, and one row of a table that anything can read."""

from __future__ import annotations

import math

import pytest
import torch

from instseg.core.text import duration
from instseg.training.history import History
from instseg.training.validation_line import HEADER, validation_line

ROW = {
    "epoch": 12.0, "step": 600.0, "train/loss": 0.81249, "val/loss": 0.7444, "val/segm_map": 0.4121,
    "val/segm_map_50": 0.655, "lr": 1e-3, "images_per_second": 27.13, "elapsed_seconds": 3683.0,
}  # fmt: skip
BESIDE_THE_LEVEL = 80 - len("INFO     ")


def test_the_columns_of_a_line_stand_below_their_names():
    line = validation_line(ROW, all_epochs=300.0, best=0.4121, is_best=True, seconds_left=1e5)
    assert line.split() == ["12/300", "0.812", "0.744", "0.412", "0.655", "0.412*", "27.1", "1:01:23", "27", "h", "46"]
    assert len(line) == len(HEADER) <= BESIDE_THE_LEVEL


def test_a_line_without_average_precision_or_an_end_has_dashes():
    row = {"epoch": 0.5, "elapsed_seconds": 3.0, "val/loss": math.nan}
    line = validation_line(row, all_epochs=math.inf, best=None, is_best=False, seconds_left=math.nan)
    assert line.split() == ["0.5", *"––––––", "0:03", "–"]


def test_a_resumed_history_continues_the_rows_the_sums_and_the_time_of_the_checkpoint(tmp_path):
    before, after = History(tmp_path, "val/x", "max"), History(tmp_path, "val/x", "max")
    before.rows, before._loss, before._steps = [{"epoch": 1.0}], torch.tensor(0.1), 3
    before._seconds_before = 60.0
    after.load_state_dict(before.state_dict())
    assert after.state_dict() == before.state_dict()
    assert after.seconds == 60.0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (725, "12:05"), (10931, "3:02:11"), (273600, "3 d 4 h"), (math.inf, "–")]
)
def test_times_are_written_as_a_clock_shows_them(seconds, text):
    assert duration(seconds) == text
