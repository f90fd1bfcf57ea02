"""The records of a sweep are read typed, or refused with one kind of error, and none of them names code."""

import json
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from mutating import read_damaged_files
from sweeping import info, record, swept

from instseg.app.leaderboard import leaderboard
from instseg.core.errors import InstsegError
from instseg.core.records import RecordError
from instseg.sweeps.leaderboard import _table, strategy_of
from instseg.sweeps.optuna_search import JOURNAL, OptunaSearch
from instseg.sweeps.ranking import ranked
from instseg.sweeps.records import Job, JobRecord, Outcome
from instseg.sweeps.resuming import complete_sweep_arguments
from instseg.sweeps.strategy import Context, Interval, Space
from instseg.sweeps.sweep_folder import SweepFolder

EVIL = "+callbacks.x={_target_: os.system, command: id}"
OWN_STRATEGY = """
from instseg.sweeps.strategy import Grid

class Mine(Grid):
    def report(self, records, info, folder):
        return [f"mine has seen {len(records)} jobs"]
"""


@pytest.fixture
def folder(tmp_path):
    """A sweep of two folds."""
    folder = SweepFolder(tmp_path / "sweeps" / "one")
    folder.write_info(
        info(command=["-m", "seed=1", "sweep=kfold"], strategy="kfold", options={"folds": 2}, values=["fold"])
    )
    for fold, metric in enumerate((0.3, 0.5)):
        started = datetime(2026, 1, 31, 12, tzinfo=UTC)
        folder.write(record(fold, {"fold": fold}, metric, run_dir="/nowhere/run", started=started, seconds=9.5))
    return folder


def used(folder):
    """All that is made of the records of a sweep, but for pictures."""
    info, arguments = folder.read_info(), complete_sweep_arguments([f"resume={folder.path}"])
    records = folder.records(info.values)
    rows = ranked(records, info)
    _table(rows, info)
    strategy = strategy_of(info, "sweep.json")
    return arguments, strategy.report(records, info, folder.path) if strategy else []


def test_what_is_written_is_read_back(folder):
    assert folder.read_info() == replace(folder.read_info(), options={"folds": 2}, mode="max")
    record = folder.write(
        JobRecord.of(Job(2, {"fold": "2"}, ("seed=1",))).begun("/a").ended(Outcome("done", 0.25), 3.14)
    )
    assert folder.read(2) == record and (record.seconds, record.attempts, record.metric) == (3.1, 1, 0.25)


def test_whatever_is_wrong_with_the_file_of_a_sweep_is_one_kind_of_error(folder, tries):
    tried, refused = read_damaged_files(folder.info_file, lambda: used(folder), tries)
    assert tried > tries and refused > 0.5 * tried


def test_whatever_is_wrong_with_the_record_of_a_job_is_one_kind_of_error(folder, tries):
    tried, refused = read_damaged_files(folder.job_file(1), lambda: used(folder), tries)
    assert tried > tries and refused > 0.5 * tried


def test_an_error_names_the_file_the_field_and_the_way_out(folder):
    file = folder.job_file(1)
    file.write_text(file.read_text().replace('"done"', '"won"'))
    with pytest.raises(
        RecordError, match=r"jobs/001\.json: field state: .*'won'.*; delete the file, and a resumed sweep"
    ):
        folder.records()


def test_a_record_under_the_number_of_another_job_is_refused(folder):
    folder.job_file(0).replace(folder.job_file(2))
    with pytest.raises(RecordError, match=r"002\.json: field number: expected 2, found 0"):
        folder.records()


def test_other_files_among_the_records_are_no_jobs(folder):
    for name in ("notes.json", "7.json", "²²².json"):
        (folder.path / "jobs" / name).write_text("{")
    assert len(folder.records()) == 2


# --- no file names code ---


def test_the_file_of_a_sweep_that_names_code_is_of_an_older_version_and_refused(folder, capsys):
    old = {
        "command": ["-m"],
        "strategy": {"_target_": "os.system", "command": "id"},
        "metric": "x",
        "mode": "max",
        "values": [],
    }
    folder.info_file.write_text(json.dumps(old))
    with pytest.raises(RecordError, match=r"sweep\.json: field version: expected 2, found 1; .*start it again"):
        leaderboard([str(folder.path)])
    folder.info_file.write_text(json.dumps(old | {"version": 2}))
    with pytest.raises(RecordError, match=r"sweep\.json: field strategy: expected `str \| null`, found `object`"):
        leaderboard([str(folder.path)])


@pytest.mark.parametrize("name", ["os.system", "instseg.sweeps.kfold.KFold", "", "KFold", "__init__"])
def test_a_strategy_is_one_of_ours_by_its_name(name, folder):
    folder.write_info(info(strategy=name, values=["fold"]))
    with pytest.raises(InstsegError, match=r"sweep\.json: strategy: expected one of grid, optuna, .*, found"):
        leaderboard([str(folder.path)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"_target_": "os.system"}, "kfold has no option _target_; it has folds"),
        ({"folds": "5"}, "Expected `int`, got `str`"),
    ],
)
def test_options_are_those_of_the_strategy_and_have_its_types(options, message, folder):
    folder.write_info(info(strategy="kfold", options=options, values=["fold"]))
    with pytest.raises(InstsegError, match=message):
        leaderboard([str(folder.path)])


@pytest.mark.parametrize("line", [EVIL, "hydra.searchpath=[/tmp/evil]", "model=${oc.env:X}", "--config-dir=/tmp/evil"])
def test_a_stored_command_that_does_more_than_choose_and_set_is_refused_until_it_is_given_again(line, folder):
    folder.write_info(info(command=["-m", "seed=1,2", line, "batch_size=2"]))
    with pytest.raises(InstsegError, match=r"sweep\.json: .*type it again on the command line"):
        complete_sweep_arguments([f"resume={folder.path}"])
    completed = complete_sweep_arguments([f"resume={folder.path}", line])
    assert line in completed and {"-m", "seed=1,2", "batch_size=2"} < set(completed)


def test_a_flag_and_its_value_stay_together_when_they_are_given_again(folder):
    folder.write_info(info(command=["-m", "seed=1,2", "sweep=mine"]))
    completed = complete_sweep_arguments([f"resume={folder.path}", "--config-dir", "my/conf"])
    assert completed[:3] == ["-m", "--config-dir", "my/conf"] and completed[3:5] == ["seed=1,2", "sweep=mine"]


def test_the_run_folder_of_a_job_is_a_path_below_the_outputs_and_nothing_that_is_resolved(tmp_path):
    with pytest.raises(SystemExit):
        swept(tmp_path, lambda config: (_ for _ in ()).throw(KeyboardInterrupt), "seed=1,2")
    folder = SweepFolder(tmp_path / "sweeps" / "one")
    evil = tmp_path / "${oc.env:HOME}"
    (evil / ".hydra").mkdir(parents=True)
    (evil / ".hydra" / "overrides.yaml").write_text("[]")
    folder.write(replace(folder.read(0), run_dir=str(evil)))
    with pytest.raises(InstsegError, match=r"jobs/000\.json: .*an interpolation"):
        swept(tmp_path, lambda config: 1.0, "seed=1,2")
    others = tmp_path.parent / f"{tmp_path.name}_others"
    (tmp_path / "link").symlink_to(evil.rename(others))
    for run_dir in (others, tmp_path / "link"):
        folder.write(replace(folder.read(0), run_dir=str(run_dir)))
        with pytest.raises(InstsegError, match=r"jobs/000\.json: field run_dir: expected a folder below .*, found"):
            swept(tmp_path, lambda config: 1.0, "seed=1,2")


def test_a_strategy_from_outside_runs_because_a_config_names_it_and_its_file_does_not(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_strategies.py").write_text(OWN_STRATEGY)
    (tmp_path / "conf" / "sweep").mkdir(parents=True)
    (tmp_path / "conf" / "sweep" / "mine.yaml").write_text(
        "# @package _global_\nhydra: {mode: MULTIRUN}\nsweep: {_target_: my_strategies.Mine}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    place = f"hydra.searchpath=[file://{tmp_path}/conf]"
    folder = swept(tmp_path, lambda config: float(config.seed), place, "sweep=mine", "seed=1,2")
    assert "mine has seen 2 jobs" in capsys.readouterr().out
    assert folder.read_info().strategy is None and "my_strategies" not in folder.info_file.read_text()
    leaderboard([str(folder.path)])
    printed = capsys.readouterr().out
    assert "a strategy of your own, which its file does not name" in printed and "best run" not in printed


# --- the journal of a search ---


def begun(tmp_path, choices=("small", "r18fpn")):
    search = OptunaSearch(num_trials=4, startup_trials=1)
    space = Space((), {"model": choices}, {"lr": Interval(1e-4, 1.0, is_log=True)})
    search.begin(space, Context(info(strategy="optuna"), tmp_path, lambda overrides: lambda key: None), (), False)
    return search


def test_a_trial_of_the_journal_with_values_that_are_not_searched_is_refused(tmp_path):
    begun(tmp_path, ("{_target_: os.system}", "r18fpn")).ask(2)
    with pytest.raises(RecordError, match=r"optuna_journal\.log: .*this search cannot be resumed"):
        begun(tmp_path)


def test_a_trial_that_was_killed_while_its_values_were_drawn_is_replaced(tmp_path):
    begun(tmp_path).ask(1)
    journal = tmp_path / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    search = begun(tmp_path)
    assert [job.number for job in search.ask(4)] == [1, 2, 3, 4]


def test_whatever_is_wrong_with_the_journal_is_one_kind_of_error(tmp_path):
    search = begun(tmp_path)
    for job in search.ask(2):
        search.tell(record(job.number, job.values, 0.5))
    search.ask(1)
    journal = tmp_path / JOURNAL
    lines = journal.read_text().splitlines()
    for number, line in enumerate(lines):
        rest = lines[:number], lines[number + 1 :]

        def read(content, rest=rest):
            journal.write_text("\n".join([*rest[0], content, *rest[1]]) + "\n")
            begun(tmp_path).ask(1)

        for content in damaged(line):
            try:
                read(content)
            except InstsegError as error:
                assert str(journal) in str(error)


def damaged(line):
    """Copies of one line of a journal: cut, emptied, and each of its values replaced by others."""
    content = json.loads(line)
    yield from ("", "{", "[]", "null", line[: len(line) // 2], "x" + line)
    for key in content:
        for junk in (None, -1, 99, "x", [], {"a": 1}, 1e308):
            yield json.dumps({**content, key: junk})
