"""A sweep as a user types it: two trainings of seconds, one of which diverges."""

import csv
import json
from pathlib import Path

import pytest
from typed_commands import QUICK, Command, Done

from instseg.sweeps.sweep_folder import SweepFolder

TINY = ("trainer=cpu", "batch_size=2", "trainer.max_epochs=1", "dataset.num_images={train: 8, val: 3, test: 3}", *QUICK)


def train(*arguments: str) -> Done:
    return Command(arguments).wait()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """What the command said, and the sweep's folder."""
    place = tmp_path_factory.mktemp("sweep")
    places = f"outputs={place}/outputs", f"cache_dir={place}/data"
    result = train("sweep=grid", "optimizer.lr=1e-3,1e9,2e-3", *TINY, *places)
    (folder,) = (place / "outputs" / "sweeps").iterdir()
    return result, SweepFolder(folder)


def test_the_one_that_diverges_is_told_at_the_end_and_the_exit_code_is_not_zero(sweep):
    result, folder = sweep
    assert result.code == 1
    assert "1 of 3 jobs failed (2 done), the first, number 1: diverged: the loss is not finite at step" in result.output
    assert f"resume={folder.path} retry_failed=true" in result.output
    assert "NonFiniteLossError" in folder.traceback_file(1).read_text()


def test_the_others_are_whole_runs_and_their_metric_is_that_of_their_best_checkpoint(sweep):
    _, folder = sweep
    for record in (folder.read(0), folder.read(2)):
        metrics = json.loads((Path(record.run_dir) / "metrics.json").read_text())
        assert record.state == "done" and record.metric == pytest.approx(metrics["val/segm_map"])
        assert record.seconds > 0


def test_the_leaderboard_compares_the_best_two_on_their_test_images(sweep):
    result, folder = sweep
    assert "on the same 3 test images" in result.output
    rows = list(csv.DictReader((folder.path / "leaderboard.csv").open()))
    assert [row["state"] for row in rows] == ["done", "done", "failed"]


def test_the_folder_is_enough_to_resume_and_nothing_that_is_done_runs_again(sweep):
    _, folder = sweep
    before = folder.records()
    result = train(f"resume={folder.path}")
    assert result.code == 1 and "1 of 3 jobs failed" in result.output
    assert folder.records() == before
