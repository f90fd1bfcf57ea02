"""The runs of a cross-validation, as whoever judges labels with them finds them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from instseg.core.errors import InstsegError
from instseg.sweeps.folds import FoldRun, fold_runs, is_sweep, missing_folds
from instseg.sweeps.records import Job, JobRecord, Outcome, SweepInfo
from instseg.sweeps.sweep_folder import SweepFolder


def sweep(folder, *jobs, strategy="kfold"):
    """Jobs are (fold, model, metric); a metric of None is of a job that failed."""
    where = SweepFolder(folder)
    info = SweepInfo(
        command=[f"sweep={strategy}"], strategy=strategy, options={"folds": 3}, metric="val/segm_map", mode="max"
    )
    where.write_info(info)
    for number, (fold, model, metric) in enumerate(jobs):
        begun = JobRecord.of(Job(number, {"model": model, "fold": fold}, ())).begun(f"/runs/{model}_{fold}")
        where.write(begun.ended(Outcome("failed" if metric is None else "done", metric)))
    return folder


def test_each_fold_that_is_done_has_its_run(tmp_path):
    found = fold_runs(sweep(tmp_path, ("0", "small", 0.2), ("1", "small", None), ("2", "small", 0.4)))
    assert [(run.fold, str(run.run)) for run in found.runs] == [(0, "/runs/small_0"), (2, "/runs/small_2")]
    assert missing_folds(found) == "1"


def test_of_what_else_was_swept_the_best_mean_is_taken(tmp_path):
    jobs = [(str(fold), model, value) for model, value in (("small", 0.2), ("r50fpn", 0.5)) for fold in range(3)]
    found = fold_runs(sweep(tmp_path, *jobs))
    assert found.others == "model=r50fpn" and len(found.runs) == 3 and missing_folds(found) == ""
    assert isinstance(found.runs[0], FoldRun)


def test_another_sweep_and_one_without_a_finished_fold_are_refused(tmp_path):
    with pytest.raises(InstsegError, match="expected a sweep=kfold, found sweep=grid"):
        fold_runs(sweep(tmp_path / "grid", ("0", "small", 0.2), strategy="grid"))
    with pytest.raises(InstsegError, match="no fold is done"):
        fold_runs(sweep(tmp_path / "none", ("0", "small", None)))
    assert is_sweep(tmp_path / "grid") and not is_sweep(tmp_path)


def test_the_command_line_finds_them_without_torch():
    code = "import sys, instseg.sweeps.folds; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
