"""Ranks that a launcher started find one run folder, and find it again when a scheduler restarts them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mutating import read_damaged_files

from instseg.core.errors import InstsegError
from instseg.runs import external_launch as module
from instseg.runs.external_launch import ExternalLaunch, external_launch


@pytest.fixture
def variables(monkeypatch):
    """Sets environment variables and asks again; without any that the machine itself has."""
    import os

    for name in [n for n in os.environ if n.startswith(("SLURM_", "TORCHELASTIC_")) or n == "LOCAL_RANK"]:
        monkeypatch.delenv(name)

    def given(**values: object) -> ExternalLaunch | None:
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))
        external_launch.cache_clear()
        return external_launch()

    yield given
    external_launch.cache_clear()


def rank(number: int, of: int = 2, attempt: int = 0, identity: str = "job-7") -> ExternalLaunch:
    return ExternalLaunch(identity, number, of, of, attempt)


def folders(tmp_path: Path):
    """Makes a new folder at each call."""
    numbers = iter(range(100))

    def make() -> Path:
        folder = tmp_path / f"run_{next(numbers)}"
        folder.mkdir()
        return folder

    return make


def test_all_ranks_get_the_folder_that_the_first_one_makes(tmp_path):
    make = folders(tmp_path)
    with ThreadPoolExecutor(3) as pool:  # the first rank comes last
        agreed = list(pool.map(lambda n: rank(n, 3).agree_on_folder(tmp_path, "", make), (2, 1, 0)))
    assert agreed == [(tmp_path / "run_0", False)] * 3


def test_a_rank_that_comes_after_the_first_one_has_ended_with_an_error_ends_too(tmp_path):
    first, second = rank(0), rank(1)
    folder, _ = first.agree_on_folder(tmp_path, "", folders(tmp_path))
    folder.rmdir()
    first.withdraw(tmp_path, "", folder)
    with pytest.raises(InstsegError, match="rank 1 of 2 ends: rank 0 has ended with an error"):
        second.agree_on_folder(tmp_path, "", folders(tmp_path))


def test_the_next_attempt_of_a_job_continues_in_its_folder_and_says_so(tmp_path):
    make = folders(tmp_path)
    rank(0, 1).agree_on_folder(tmp_path, "", make)
    assert rank(0, 1, attempt=1).agree_on_folder(tmp_path, "", make) == (tmp_path / "run_0", True)
    assert rank(0, 1, attempt=2).earlier_folder(tmp_path) == tmp_path / "run_0"
    assert rank(0, 1).earlier_folder(tmp_path) is None


def test_the_same_command_typed_twice_in_one_job_makes_two_runs_and_so_do_two_jobs_of_a_sweep(tmp_path):
    make = folders(tmp_path)
    made = {rank(0, 1).agree_on_folder(tmp_path, suffix, make)[0] for suffix in ("", "", "_0", "_1")}
    assert len(made) == 4


def test_an_attempt_whose_folder_was_removed_begins_anew(tmp_path):
    make = folders(tmp_path)
    rank(0, 1).agree_on_folder(tmp_path, "", make)[0].rmdir()
    assert rank(0, 1, attempt=1).agree_on_folder(tmp_path, "", make) == (tmp_path / "run_1", False)


def test_waiting_in_vain_says_for_what(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    with pytest.raises(InstsegError, match=r"rank 1 of 2 on .* for rank 0 to name the run folder"):
        rank(1).agree_on_folder(tmp_path, "", folders(tmp_path))
    with pytest.raises(InstsegError, match=r"does not see the run folder .*: outputs= must lie on a disk that all"):
        rank(0).agree_on_folder(tmp_path, "", lambda: tmp_path / "elsewhere")


def test_whatever_is_wrong_with_a_note_is_one_kind_of_error_that_names_the_file(tmp_path, tries):
    rank(0, 1).agree_on_folder(tmp_path, "", folders(tmp_path))
    path = tmp_path / ".starts" / "job-7.json"
    tried, refused = read_damaged_files(path, lambda: rank(0, 1, attempt=1).earlier_folder(tmp_path), tries)
    assert tried > tries and refused > 0.5 * tried
    path.write_text('{"attempt": 0, "folder": 7, "again": false}')
    with pytest.raises(InstsegError, match=r"job-7\.json: field folder: expected `str`, found `int`; remove the file"):
        rank(0, 1, attempt=1).agree_on_folder(tmp_path, "", folders(tmp_path))


def test_a_process_that_is_alone_has_no_external_launch(variables):
    assert variables() is None
    assert variables(LOCAL_RANK=1, SLURM_JOB_ID=3) is None  # started by Lightning, which names it the folder


def test_torchrun_sets_rank_and_attempt(variables):
    launch = variables(
        TORCHELASTIC_RUN_ID="a", TORCHELASTIC_RESTART_COUNT=2, RANK=5, WORLD_SIZE=8, LOCAL_WORLD_SIZE=4, LOCAL_RANK=1
    )
    assert launch is not None
    assert (launch.rank, launch.world_size, launch.local_size, launch.attempt) == (5, 8, 4, 2)


def test_srun_sets_rank_and_attempt(variables):
    launch = variables(
        SLURM_JOB_ID=7, SLURM_STEP_ID=0, SLURM_PROCID=3, SLURM_NTASKS=8, SLURM_NNODES=2, SLURM_RESTART_COUNT=1
    )
    assert launch is not None
    assert (launch.rank, launch.world_size, launch.local_size, launch.attempt) == (3, 8, 4, 1)


def test_tasks_of_an_interactive_shell_are_no_group(variables):
    launch = variables(SLURM_JOB_ID=7, SLURM_STEP_ID=0, SLURM_PROCID=3, SLURM_NTASKS=8, SLURM_JOB_NAME="bash")
    assert launch is not None
    assert (launch.rank, launch.world_size) == (0, 1)


def test_a_batch_script_that_forgets_srun_is_refused_with_the_command(variables):
    with pytest.raises(InstsegError, match="has 4 tasks, and this command runs as one process: srun python"):
        variables(SLURM_JOB_ID=7, SLURM_PROCID=0, SLURM_NTASKS=4)
