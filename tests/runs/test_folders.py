"""Run folders are never shared, and their checkpoints are found."""

from pathlib import Path

import pytest
from run_folders import made_run

from instseg.core.errors import InstsegError
from instseg.runs.external_launch import external_launch
from instseg.runs.folders import find_checkpoint, resume_command, run_folder


def folder(outputs: Path, name="shapes_small", resume=None) -> Path:
    run_folder.cache_clear()
    return Path(run_folder(str(outputs), name, resume, ""))


def test_a_run_lies_under_its_dataset_and_model_and_is_created_at_once(tmp_path):
    run = folder(tmp_path)
    assert run.parent == tmp_path / "shapes_small"
    assert run.is_dir()


def test_two_runs_of_the_same_second_get_two_folders(tmp_path):
    assert len({folder(tmp_path) for _ in range(5)}) == 5


def test_a_resumed_run_stays_in_its_folder(tmp_path):
    run = made_run(tmp_path, "shapes_small", "a")
    assert folder(tmp_path, resume=str(run)) == run
    assert folder(tmp_path, resume=str(run / "checkpoints" / "last.ckpt")) == run


@pytest.mark.parametrize(("program", "variables"), [
    ("instseg", {}),
    ("torchrun … -m instseg", {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}),
    ("srun python -m instseg", {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2", "SLURM_NNODES": "1"}),
])  # fmt: skip
def test_the_command_that_resumes_a_run_is_complete(monkeypatch, program, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["/usr/bin/instseg"])
    external_launch.cache_clear()
    assert resume_command(Path("/runs/a b")) == f"{program} train 'resume=/runs/a b'"
    external_launch.cache_clear()


def test_a_checkpoint_is_found_by_file_by_run_folder_and_as_the_latest(tmp_path):
    older = made_run(tmp_path, "coco_r18fpn", "b", checkpoints=("best.ckpt", "last.ckpt"))
    newer = made_run(tmp_path, "coco_r18fpn", "a")
    assert find_checkpoint(str(older / "checkpoints" / "last.ckpt"), tmp_path).name == "last.ckpt"
    assert find_checkpoint(str(older), tmp_path).name == "best.ckpt"
    assert find_checkpoint("latest", tmp_path) == newer / "checkpoints" / "last.ckpt"
    for wrong in (str(tmp_path), "nowhere.ckpt"):
        with pytest.raises(InstsegError, match=r"no checkpoints/best\.ckpt|no such file or run folder"):
            find_checkpoint(wrong, tmp_path)
