"""The leaderboard: best first in the monitored direction, with files that other programs read."""

import csv
import json
import threading
from datetime import UTC, datetime

import pytest
from sweeping import info, record
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import metadata
from tensorboard.util.tensor_util import make_ndarray
from torch.utils.tensorboard import SummaryWriter

from instseg.app.leaderboard import leaderboard
from instseg.core.errors import InstsegError
from instseg.sweeps import hparams
from instseg.sweeps.ranking import leaves, ranked, short
from instseg.sweeps.sweep_folder import SweepFolder, newest_sweep


@pytest.fixture
def folder(tmp_path):
    """Three jobs that are done, one given up, one that failed, one that runs."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.json").write_text(json.dumps({"test/segm_map": 0.25}))
    folder = SweepFolder(tmp_path / "sweeps" / "a")
    folder.write_info(info(values=["optimizer.lr", "model"]))
    jobs = [
        (1e-4, 0.1, {}),
        (1e-3, 0.3, {"run_dir": str(run), "started": datetime(2026, 1, 31, 12, tzinfo=UTC), "seconds": 90.0}),
        (1e-2, 0.2, {}),
        (3e-2, 0.5, {"state": "pruned", "reason": "given up"}),
        (1e9, None, {"state": "failed", "kind": "diverged", "reason": "diverged: nan"}),
        (1e-5, None, {"state": "running"}),
    ]
    for number, (lr, metric, more) in enumerate(jobs):
        folder.write(record(number, {"optimizer.lr": lr, "model": "small"}, metric, **more))
    return folder


@pytest.mark.parametrize("is_linked", [False, True])
def test_a_record_that_leads_to_a_run_of_elsewhere_is_refused_before_that_run_is_read(folder, tmp_path, is_linked):
    elsewhere = tmp_path.parent / f"{tmp_path.name}_elsewhere"
    elsewhere.mkdir()
    (elsewhere / "metrics.json").write_text("no json")
    if is_linked:
        (tmp_path / "link").symlink_to(elsewhere)
    run_dir = tmp_path / "link" if is_linked else elsewhere
    folder.write(record(1, {"optimizer.lr": 1e-3, "model": "small"}, 0.3, run_dir=str(run_dir)))
    with pytest.raises(InstsegError, match=r"001\.json: field run_dir: expected a folder below .*, found .*; delete"):
        leaderboard([str(folder.path)])


def test_a_sweep_that_was_moved_away_from_its_runs_is_still_shown(folder):
    folder.write(record(1, {"optimizer.lr": 1e-3, "model": "small"}, 0.3, run_dir="/moved/away"))
    leaderboard([str(folder.path)])


@pytest.mark.parametrize(("mode", "order"), [("max", [1, 2, 0, 3, 4, 5]), ("min", [0, 2, 1, 3, 4, 5])])
def test_done_jobs_come_first_by_the_metric_then_those_given_up_then_the_rest(folder, mode, order):
    rows = ranked(folder.records(), info(mode=mode))
    assert [row.record.number for row in rows] == order
    assert [row.rank for row in rows] == [1, 2, 3, None, None, None]


def test_the_command_prints_a_table_the_reasons_and_where_the_files_are(folder, capsys):
    leaderboard([str(folder.path)])
    printed = capsys.readouterr().out
    assert "segm_map of 6 jobs: 3 done, 1 pruned, 1 failed, 1 open" in printed
    assert "job 4 failed: diverged: nan" in printed
    assert "minutes" in printed, "'min' would be read as a minimum"
    assert str(folder.path / "leaderboard.png") in printed
    assert (folder.path / "leaderboard.png").stat().st_size > 10_000


def test_the_csv_has_a_line_for_each_job_with_all_digits(folder):
    leaderboard([str(folder.path)])
    first, *_ = rows = list(csv.DictReader((folder.path / "leaderboard.csv").open()))
    assert len(rows) == 6
    assert first == {
        "rank": "1", "job": "1", "optimizer.lr": "0.001", "model": "small", "val/segm_map": "0.3",
        "test/segm_map": "0.25", "state": "done", "reason": "", "seconds": "90.0",
        "run_dir": folder.read(1).run_dir,
    }  # fmt: skip


def test_tensorboard_finds_hyperparameters_and_metrics_of_each_job(folder):
    leaderboard([str(folder.path)])
    leaderboard([str(folder.path)])  # again: nothing is there twice
    events = EventMultiplexer().AddRunsFromDirectory(str(folder.path / "tensorboard")).Reload()
    assert len(events.Runs()) == 4
    best = "001 lr=0.001 model=small"
    start = events.SummaryMetadata(best, metadata.SESSION_START_INFO_TAG).plugin_data
    assert start.plugin_name == "hparams" and b"pruned" not in start.content
    given_up = events.SummaryMetadata("003 lr=0.03 model=small", metadata.SESSION_START_INFO_TAG).plugin_data
    assert b"pruned" in given_up.content
    (value,) = events.Tensors(best, "best val/segm_map")  # as TensorBoard keeps a scalar
    assert make_ndarray(value.tensor_proto) == pytest.approx(0.3)
    (value,) = events.Tensors(best, "test/segm_map")
    assert make_ndarray(value.tensor_proto) == pytest.approx(0.25)


def test_tensorboard_shows_the_curves_of_each_job_beside_its_values(folder):
    run = SummaryWriter(folder.read(1).run_dir)
    for step, value in ((10, 0.3), (20, 0.2)):
        run.add_scalar("val/segm_map", value, step)
    run.add_scalar("test/segm_map", 0.25, 20)
    run.close()
    leaderboard([str(folder.path)])
    job = EventAccumulator(str(folder.path / "tensorboard" / "001 lr=0.001 model=small")).Reload()
    assert [event.step for event in job.Scalars("val/segm_map")] == [10, 20]
    assert job.Scalars("best val/segm_map")[-1].value == pytest.approx(0.3)
    assert len(job.Scalars("test/segm_map")) == 1


def test_two_leaderboards_at_once_write_one_after_the_other(folder, monkeypatch):
    rows, write_job, others = ranked(folder.records(), folder.read_info()), hparams._write_job, []
    arguments = folder.path / "tensorboard", rows, folder.read_info()

    def while_another_begins(*job):
        if not others:
            others.append(threading.Thread(target=hparams.write_hparams, args=arguments))
            others[0].start()
            others[0].join(1.0)  # ends in this time only where nothing makes it wait
        write_job(*job)

    monkeypatch.setattr(hparams, "_write_job", while_another_begins)
    hparams.write_hparams(*arguments)
    others[0].join()
    assert len(list(arguments[0].iterdir())) == 4


def test_no_fold_is_called_the_best_because_each_has_other_images(tmp_path, capsys):
    folder = SweepFolder(tmp_path)
    folder.write_info(info(strategy="kfold", options={"folds": 2}, values=["fold"]))
    for fold, metric in enumerate((0.3, 0.5)):
        folder.write(record(fold, {"fold": fold}, metric))
    leaderboard([str(tmp_path)])
    printed = capsys.readouterr().out
    assert "mean val/segm_map over the folds: 0.400" in printed
    assert "best run" not in printed and "best two" not in printed
    assert [row["rank"] for row in csv.DictReader((tmp_path / "leaderboard.csv").open())] == ["", ""]


def test_the_newest_sweep_is_found(tmp_path, folder):
    SweepFolder(folder.path.with_name("b")).write_info(info())
    assert newest_sweep(tmp_path).name == "b"
    with pytest.raises(InstsegError, match="no sweep below"):
        newest_sweep(tmp_path / "nowhere")


def test_who_has_single_runs_is_told_what_compares_them(tmp_path):
    with pytest.raises(InstsegError, match=r"no sweep below .*single runs: instseg compare RUN OTHER_RUN"):
        leaderboard([f"outputs={tmp_path}"])


def test_a_folder_of_no_sweep_is_refused(tmp_path):
    with pytest.raises(InstsegError, match="expected the folder of a sweep"):
        leaderboard([str(tmp_path)])


def test_values_and_keys_are_shown_short():
    assert [short(value) for value in ("0.0012345678", "1000000000.0", "r18fpn", "data/a.json")] == [
        "0.001235", "1e+09", "r18fpn", "a.json",
    ]  # fmt: skip
    assert leaves(["optimizer.lr", "model.fpn_channels"]) == ["lr", "fpn_channels"]
    assert leaves(["optimizer.lr", "other.lr"]) == ["optimizer.lr", "other.lr"]


def test_where_every_job_was_refused_there_is_nothing_to_draw_or_to_look_at(tmp_path, capsys):
    folder = SweepFolder(tmp_path / "sweeps" / "refused")
    folder.write_info(info(values=["augmentation.min_visibility"]))
    for number in range(2):
        folder.write(record(number, {"augmentation.min_visibility": 2}, None, state="failed", reason="above 1"))
    leaderboard([str(folder.path)])
    assert {path.name for path in folder.path.iterdir()} >= {"leaderboard.csv"}
    assert not (folder.path / "tensorboard").exists() and not (folder.path / "leaderboard.png").exists()
    assert "tensorboard" not in capsys.readouterr().out
