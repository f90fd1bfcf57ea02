"""On a SLURM of one node: ranks share a run, a requeued job resumes in its folder, the jobs of a sweep are SLURM's."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tools.single_node_slurm import single_node_slurm, why_not
from typed_commands import QUICK, ROOT, Command, train_as_ranks

pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=f"SLURM: {why_not()}"),
    pytest.mark.timeout(900),
]
TINY = (*QUICK, "dataset.num_images={train: 4, val: 2, test: 2}", "model.norm=gn", "batch_size=1")
TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.max_epochs=8")
SCRIPT = """#!/bin/bash
#SBATCH --nodes=1 --ntasks-per-node=2 --requeue --open-mode=append --job-name=tests --output={log}
srun {command}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("slurm")


@pytest.fixture(scope="module")
def slurm(place):
    try:
        with single_node_slurm(place / "slurm") as environment:
            yield environment
    except RuntimeError as error:
        pytest.skip(str(error))


def submit(place: Path, slurm: dict[str, str], name: str, *arguments: str) -> str:
    """The number of a job that trains on two tasks."""
    typed = [*TINY, *TWO, f"outputs={place}/{name}", f"cache_dir={place}/data", *arguments]
    quoted = " ".join(f"'{argument}'" for argument in typed)
    script = place / f"{name}.sh"
    script.write_text(SCRIPT.format(log=place / f"{name}.log", command=f"{sys.executable} train.py {quoted}"))
    return ask(slurm, "sbatch", "--parsable", str(script))


def ask(slurm: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=slurm, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def wait_for(place: Path, name: str, what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 200
    while not what():
        log = place / f"{name}.log"
        assert time.monotonic() < deadline, log.read_text()[-3000:] if log.exists() else "no log"
        time.sleep(0.1)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def uninterrupted(place):
    ranks = train_as_ranks(2, *TINY, *TWO, f"outputs={place}/whole", f"cache_dir={place}/data")
    assert [rank.code for rank in ranks] == [0, 0], ranks[0].output[-3000:]
    (run,) = (place / "whole").glob("*/2*")
    return run


@pytest.mark.parametrize("how", ["time is up", "preempted"])
def test_a_job_that_is_started_again_resumes_in_its_folder_and_ends_as_if_nothing_had_been(
    place, slurm, uninterrupted, how
):
    """SIGUSR1 is what ``sbatch --signal=USR1@120`` sends; ``scontrol requeue`` sends SIGTERM, as preemption does."""
    name = how.replace(" ", "_")
    job = submit(place, slurm, name)
    wait_for(place, name, lambda: list((place / name).glob("*/2*/checkpoints/last.ckpt")))
    ask(slurm, *(("scancel", "--signal=USR1", job) if how == "time is up" else ("scontrol", "requeue", job)))
    wait_for(place, name, lambda: list((place / name).glob("*/2*/metrics.json")))
    (run,) = (place / name).glob("*/2*")
    assert len(json.loads((run / "manifest.json").read_text())["starts"]) == 2
    assert {path.name for path in run.glob("train*.log")} == {"train.log", "train_rank_1.log"}
    whole, after = weights(uninterrupted), weights(run)
    assert all(torch.equal(whole[key], after[key]) for key in whole)


def test_the_jobs_of_a_sweep_are_jobs_of_slurm(place, slurm):
    arguments = (
        "launcher=slurm", "hydra.launcher.cpus_per_task=1", "trainer=cpu", "trainer.max_epochs=1",
        "optimizer.lr=1e-3,2e-3", f"outputs={place}/sweep", f"cache_dir={place}/data", "-m",
    )  # fmt: skip
    done = Command([*TINY, *arguments], slurm).wait()
    assert done.code == 0, done.output[-3000:]
    runs = sorted((place / "sweep").glob("shapes_small/2*"))
    assert [run.name[-2:] for run in runs] == ["_0", "_1"]
    assert all((run / "metrics.json").is_file() for run in runs)
    assert len(list((place / "sweep").glob("sweeps/*/.submitit/*/*_submission.sh"))) == 1  # one array of both
