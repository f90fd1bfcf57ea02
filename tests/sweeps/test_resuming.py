"""``resume=`` of a sweep's folder: the command that started it, and nothing that changes what it tries."""

import pytest
from sweeping import info

from instseg.errors import InstsegError
from instseg.run_folders import complete_arguments
from instseg.sweeps.records import SweepFolder
from instseg.sweeps.resuming import complete_sweep_arguments, starts_a_sweep


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
