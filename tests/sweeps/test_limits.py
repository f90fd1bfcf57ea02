"""Sweeps that ask for too much, and records with values that nothing can be drawn of."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from sweeping import info, record

from instseg.app.leaderboard import leaderboard
from instseg.core.errors import InstsegError
from instseg.core.records import RecordError
from instseg.sweeps.command_line import jobs_at_once, space_of
from instseg.sweeps.ranking import decimals, short
from instseg.sweeps.sweep_folder import SweepFolder


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=range(1,1000000000000)"], r"seed=range\(1,1000000000000\): 999,999,999,999 values; expected at most"),
        (["seed=range(0,1,1e-9)"], r"1,000,000,000 values; expected at most 100,000"),
        (["seed=range(1,5,0)"], "expected a step other than 0"),
        (["seed=range(0,1000)", "batch_size=range(1,1001)"], "seed, batch_size: 1,000,000 combinations; expected at"),
    ],
)
def test_more_jobs_than_anybody_means_are_refused_before_they_are_listed(overrides, message):
    with pytest.raises(InstsegError, match=message):
        space_of(OverridesParser.create().parse_overrides(overrides))


def test_a_range_of_a_few_values_is_listed():
    assert space_of(OverridesParser.create().parse_overrides(["seed=range(0,3)"])).choices == {"seed": ["0", "1", "2"]}


def test_a_launcher_for_a_billion_jobs_at_once_is_refused():
    assert jobs_at_once(OmegaConf.create({"n_jobs": 4})) == 4
    with pytest.raises(InstsegError, match=r"hydra\.launcher: 1,000,000,000 jobs at once; expected at most 10,000"):
        jobs_at_once(OmegaConf.create({"n_jobs": 10**9}))


def shown(tmp_path, sweep, records) -> SweepFolder:
    folder = SweepFolder(tmp_path / "sweeps/a")
    folder.write_info(sweep)
    for one in records:
        folder.write(one)
    leaderboard([str(folder.path)])
    return folder


@pytest.mark.parametrize(
    ("strategy", "options", "axis"),
    [("ablation", {}, "augmentation"), ("learning_curve", {"fractions": [0.5, 1.0]}, "train_fraction")],
)
def test_a_record_without_a_value_of_the_axis_is_named(tmp_path, strategy, options, axis):
    records = [record(i, {"seed": i}, 0.1 * i) for i in range(2)]
    with pytest.raises(RecordError, match=rf"jobs/000.json: field values: expected the key {axis}, found none"):
        shown(tmp_path, info(strategy=strategy, options=options, values=["seed"]), records)


def test_a_metric_and_values_that_cannot_be_drawn_leave_a_gap(tmp_path, capsys):
    values = ("1e308", "0.1", "9" * 1000, "x" * 100_000)
    records = [
        record(i, {"optimizer.lr": v}, m) for i, (v, m) in enumerate(zip(values, (1e308, 0.3, 0.2, 0.1), strict=True))
    ]
    folder = shown(tmp_path, info(), records)
    assert (folder.path / "leaderboard.png").is_file()
    printed = capsys.readouterr().out
    assert "1e+308" in printed and len(printed) < 5000


def test_a_learning_curve_of_impossible_metrics_is_drawn_without_them(tmp_path, capsys):
    sweep = info(strategy="learning_curve", options={"fractions": [0.5, 1.0]}, values=["train_fraction"])
    shown(tmp_path, sweep, [record(i, {"train_fraction": part}, 1e308) for i, part in enumerate((0.5, 1))])
    assert "1e+308 with 50%" in capsys.readouterr().out


def test_numbers_and_names_are_as_short_as_people_write_them():
    assert decimals(0.41239) == "0.412" and decimals(1e308) == "1e+308"
    assert short("0.00123456") == "0.001235" and short("/data/a.ckpt") == "a.ckpt" and len(short("x" * 500)) == 80
