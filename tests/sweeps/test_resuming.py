"""``resume=`` of a sweep's folder: the command that started it, and nothing that changes what it tries."""

from pathlib import Path

import pytest
from sweeping import info

from instseg.app.arguments import complete_arguments
from instseg.core.errors import InstsegError
from instseg.core.overrides import typed_values
from instseg.runs.external_launch import ExternalLaunch
from instseg.sweeps import resuming
from instseg.sweeps.resuming import complete_sweep_arguments, starts_a_sweep
from instseg.sweeps.sweep_folder import SweepFolder


@pytest.fixture
def outputs(tmp_path):
    for name, command in (("a", ["sweep=grid", "seed=1,2"]), ("b", ["model=small,r18fpn", "-m", "seed=0"])):
        SweepFolder(tmp_path / "sweeps" / name).write_info(info(command=command))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-m", "seed=1,2"], True),
        (["seed=1", "--multirun"], True),
        (["sweep=optuna"], True),
        (["sweep=null"], False),
        (["seed=1"], False),
        (["sweep=optuna", "hydra.mode=RUN"], False),
    ],
)
def test_a_sweep_is_started_by_m_or_by_choosing_one(arguments, expected):
    assert starts_a_sweep(arguments) is expected


def test_a_sweeps_folder_brings_its_command_and_is_written_to_again(outputs):
    folder = outputs / "sweeps" / "b"
    assert complete_sweep_arguments([f"resume={folder}"]) == [
        "-m", "model=small,r18fpn", "seed=0", f'hydra.sweep.dir="{folder}"',
    ]  # fmt: skip


def test_auto_is_the_newest_sweep_where_a_sweep_is_typed(outputs):
    completed = complete_sweep_arguments(["-m", "resume=auto", f"outputs={outputs}"])
    assert completed[-1] == f'hydra.sweep.dir="{outputs}/sweeps/b"'
    assert complete_sweep_arguments(["resume=auto"]) == ["resume=auto"], "a run is meant"


def test_auto_beside_a_kind_of_sweep_is_the_newest_of_that_kind(outputs):
    completed = complete_sweep_arguments(["sweep=grid", "resume=auto", f"outputs={outputs}"])
    assert completed[-1] == f'hydra.sweep.dir="{outputs}/sweeps/a"'
    with pytest.raises(InstsegError, match="no sweep=optuna below"):
        complete_sweep_arguments(["sweep=optuna", "resume=auto", f"outputs={outputs}"])


@pytest.mark.parametrize("typed", ["-m", "sweep=grid"])
def test_a_sweep_to_resume_never_starts_from_zero_because_of_a_slip(typed, outputs):
    run = outputs / "shapes_small" / "a"
    run.mkdir(parents=True)
    for wrong in ("Auto", str(outputs / "sweeps" / "c"), str(run)):
        with pytest.raises(InstsegError, match="is no sweep's folder"):
            complete_sweep_arguments([typed, "seed=1,2", f"resume={wrong}"])
    assert complete_sweep_arguments([typed, "seed=1,2", "resume=null"]) == [typed, "seed=1,2", "resume=null"]


def test_what_changes_nothing_of_what_is_learnt_takes_the_place_of_what_was_typed(outputs):
    SweepFolder(outputs / "sweeps" / "c").write_info(info(command=["-m", "seed=1,2", "cache_dir=old"]))
    added = ["cache_dir=new", "trainer.checkpoint_every_minutes=5"]
    completed = complete_sweep_arguments([f"resume={outputs}/sweeps/c", *added])
    assert completed[:-1] == ["-m", "seed=1,2", *added]
    with pytest.raises(InstsegError, match="stage=test: "):
        complete_sweep_arguments([f"resume={outputs}/sweeps/c", "stage=test"])


def test_a_sweep_that_its_scheduler_restarts_continues_in_its_folder(tmp_path, monkeypatch):
    arguments = ["-m", "seed=1,2", f"outputs={tmp_path}"]

    def folder_of_attempt(number):
        launch = ExternalLaunch("job-7", rank=0, world_size=1, local_size=1, attempt=number)
        monkeypatch.setattr(resuming, "external_launch", lambda: launch)
        *same, folder = complete_sweep_arguments(arguments)
        assert same == arguments and folder.startswith('hydra.sweep.dir="')
        return Path(typed_values([folder])["hydra.sweep.dir"])

    first = folder_of_attempt(0)
    monkeypatch.setattr(resuming, "datetime", None)  # nobody asks for the time again
    assert folder_of_attempt(1) == first
    monkeypatch.setattr(resuming, "external_launch", lambda: None)
    assert complete_sweep_arguments(arguments) == arguments


def test_failed_jobs_and_other_machines_may_be_asked_for_and_other_settings_not(outputs):
    resume = f"resume={outputs / 'sweeps' / 'a'}"
    completed = complete_sweep_arguments([resume, "retry_failed=true", "hydra.launcher.n_jobs=2", "seed=1,2"])
    assert {"retry_failed=true", "hydra.launcher.n_jobs=2"} < set(completed)
    assert completed.count("seed=1,2") == 1
    with pytest.raises(InstsegError, match=r"batch_size=4: .* was started with other settings"):
        complete_sweep_arguments([resume, "batch_size=4"])


def test_what_names_no_sweep_stays_as_it_is(tmp_path):
    for arguments in (["seed=1"], [f"resume={tmp_path}"], ["resume=auto"], ["resume=null"]):
        assert complete_sweep_arguments(arguments) == arguments


def test_a_job_that_is_resumed_alone_leaves_the_sweep_behind(tmp_path):
    run = tmp_path / "outputs" / "shapes_small" / "a"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.ckpt").touch()
    (run / ".hydra").mkdir()
    kept = ["sweep=optuna", "seed=1", "+callbacks.pruning.trial=3", "retry_failed=true"]
    (run / ".hydra" / "overrides.yaml").write_text("".join(f"- {override}\n" for override in kept))
    assert complete_arguments([f"resume={run}"]) == ["seed=1", f'resume="{run}"']
