"""Several jobs of a sweep at once: as processes of this machine that divide it, or through submitit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.errors import MissingConfigException
from typed_commands import QUICK, ROOT

from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.suggestions import explain

TINY = (*QUICK, "dataset.num_images={train: 4, val: 2, test: 2}", "batch_size=2", "trainer.max_epochs=1")


def sweep(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own from the start: joblib starts its workers as that was."""
    command = [sys.executable, "train.py", "-m", *TINY, f"outputs={place}/out", f"cache_dir={place}/data", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)


@pytest.mark.parametrize("launcher", ["joblib", "slurm_local"])
def test_each_job_of_a_sweep_has_a_process_and_a_folder_of_its_own(launcher, tmp_path):
    done = sweep(tmp_path, "trainer=cpu", f"launcher={launcher}", "optimizer.lr=1e-3,2e-3")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    runs = list((tmp_path / "out").glob("shapes_small/2*"))
    assert {run.name[-2:] for run in runs} == {"_0", "_1"}
    assert len(runs) == 2
    assert all("test/segm_map" in json.loads((run / "metrics.json").read_text()) for run in runs)


def test_a_job_that_needs_several_devices_is_refused_where_each_job_has_one(tmp_path):
    two = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    done = sweep(tmp_path, *two, "launcher=joblib", "hydra.launcher.n_jobs=1", "seed=0,1")
    assert done.returncode == 1
    assert "launcher=joblib gives each job one device" in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(("launcher", "extra"), [("joblib", "joblib"), ("submitit_slurm", "slurm")])
def test_a_launcher_whose_package_is_missing_says_how_to_get_it(launcher, extra):
    error = MissingConfigException("not found", f"hydra/launcher/{launcher}", ["basic"])
    assert f'pip install "instseg[{extra}]"' in explain(error, "train", (), CONFIG_DIR)
