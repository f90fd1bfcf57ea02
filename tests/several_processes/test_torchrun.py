"""torchrun itself: its ranks share a run, and resume in it when it starts them again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from faults import FAULTS
from typed_commands import QUICK, ROOT, train_as_ranks

from instseg.training.tensorboard import read_scalars

TWO = (
    *QUICK, "dataset.num_images={train: 4, val: 2, test: 2}", "batch_size=1",
    "trainer=ddp", "trainer.accelerator=cpu", "trainer.max_epochs=2", "trainer.log_every_n_steps=1",
)  # fmt: skip
FAULT = ("+callbacks.fault._target_=faults.FailOnRank", "+callbacks.fault.rank=1")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def torchrun(place: Path, *arguments: str, restarts: int = 0) -> subprocess.CompletedProcess[str]:
    folders = (f"outputs={place}/out", f"cache_dir={place}/data")
    return subprocess.run(
        [sys.executable, *TORCHRUN, f"--max-restarts={restarts}", "train.py", *TWO, *folders, *arguments],
        cwd=ROOT, env={**os.environ, **FAULTS}, capture_output=True, text=True, check=False,
        timeout=280,
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("torchrun")


@pytest.fixture(scope="module")
def whole(place):
    """The folder of a run that was never interrupted."""
    ranks = train_as_ranks(2, *TWO, f"outputs={place}/whole", f"cache_dir={place}/data")
    assert [rank.code for rank in ranks] == [0, 0], ranks[0].output[-3000:]
    (run,) = (place / "whole").glob("shapes_small/2*")
    return run


def assert_begun_twice_and_ended_like(outputs: Path, whole: Path) -> None:
    (run,) = outputs.glob("shapes_small/2*")
    assert len(json.loads((run / "manifest.json").read_text())["starts"]) == 2
    restarted, expected = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for folder in (run, whole)
    )
    assert all(torch.equal(restarted[key], value) for key, value in expected.items())
    assert read_scalars(run)["train/loss"] == read_scalars(whole)["train/loss"]


def test_a_rank_that_fails_is_named_and_all_start_again_from_the_last_checkpoint_and_end_as_if_it_had_not(place, whole):
    done = torchrun(place, *FAULT, "+callbacks.fault.step=2", restarts=1)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "rank 1 (" in done.stdout + done.stderr
    assert_begun_twice_and_ended_like(place / "out", whole)


def test_ranks_that_fail_before_anything_was_saved_start_over_in_their_folder(place, whole):
    typed = [*TWO, *FAULT, "+callbacks.fault.step=1", f"outputs={place}/early", f"cache_dir={place}/data"]
    assert 1 in [rank.code for rank in train_as_ranks(2, *typed)]
    assert [rank.code for rank in train_as_ranks(2, *typed, attempt=1)] == [0, 0]
    assert_begun_twice_and_ended_like(place / "early", whole)


def test_ranks_of_which_one_is_told_stop_together_in_a_validation_and_repeat_it(place, whole):
    fault = ("+callbacks.fault._target_=faults.TerminateInValidation", "+callbacks.fault.rank=1")
    typed = [*TWO, *fault, "+callbacks.fault.step=2", f"outputs={place}/validated", f"cache_dir={place}/data"]
    ranks = train_as_ranks(2, *typed)
    assert [rank.code for rank in ranks] == [128 + signal.SIGTERM, 0], ranks[0].output[-3000:]
    (last,) = (place / "validated").glob("shapes_small/2*/checkpoints/last.ckpt")
    assert torch.load(last, weights_only=True)["instseg"]["training"]["validation_due"]
    assert [rank.code for rank in train_as_ranks(2, *typed, attempt=1)] == [0, 0]
    assert_begun_twice_and_ended_like(place / "validated", whole)


def test_a_number_of_processes_that_differs_from_the_launchers_is_refused(tmp_path):
    folders = (f"outputs={tmp_path}/out", f"cache_dir={tmp_path}/data")
    first, second = train_as_ranks(2, *TWO, *folders, "trainer.devices=4")
    assert (first.code, second.code) == (1, 1)
    said = "trainer.devices=4, but the launcher has started 2 processes"
    assert said in " ".join(first.output.split())
    assert said in " ".join(second.output.split()) or "rank 0 has ended with an error" in second.output
