"""When a rank dies the others end in seconds, with its name, and the training resumes from the last checkpoint."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from faults import FAULTS
from typed_commands import QUICK, Command, Done, wait_until

TWO = (
    *QUICK, "dataset.num_images={train: 4, val: 2, test: 2}", "batch_size=1",
    "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2",
)  # fmt: skip
FAULT = ("+callbacks.fault._target_=faults.FailOnRank", "+callbacks.fault.rank=1", "+callbacks.fault.step=2")
SECONDS = 20  # on a busy machine; the timeout of a collective operation is half an hour


@pytest.fixture
def place(tmp_path_factory):
    return tmp_path_factory.getbasetemp() / "rank_death"


def started(place: Path, name: str, *arguments: str) -> Command:
    typed = [*TWO, f"outputs={place}/{name}", f"cache_dir={place}/data", *arguments]
    return Command(typed, FAULTS)


def last_checkpoint(place: Path, name: str) -> Path:
    (path,) = (place / name).glob("*/2*/checkpoints/last.ckpt")
    return path


def other_rank(first: int) -> int:
    """The process that a training has started as its second rank."""
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    (rank,) = (int(c) for c in children if b"LOCAL_RANK=1" in Path(f"/proc/{c}/environ").read_bytes())
    return rank


def is_running(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for_the_end_of(process: int, began: float) -> None:
    while is_running(process):
        assert time.monotonic() - began < SECONDS
        time.sleep(0.05)


def train_until_saved(place: Path, name: str) -> tuple[Command, int]:
    """A training that goes on and on, and its second rank."""
    command = started(place, name, "trainer.max_epochs=500")
    wait_until(lambda: list((place / name).glob("*/2*/checkpoints/last.ckpt")), command)
    assert command.process.pid is not None
    return command, other_rank(command.process.pid)


def ended_in_time(command: Command, began: float) -> Done:
    done = command.wait()
    assert time.monotonic() - began < SECONDS
    return done


def words(text: str) -> str:
    """The terminal breaks lines anywhere."""
    return " ".join(text.split())


def test_a_rank_that_is_killed_ends_the_others_and_the_training_can_be_resumed(place):
    command, second = train_until_saved(place, "killed")
    began = time.monotonic()
    os.kill(second, signal.SIGKILL)
    done = ended_in_time(command, began)
    assert done.code == 1
    assert "rank 1 (" in done.output and f"process {second}" in words(done.output)
    assert "Resume with: python train.py resume=" in words(done.output)
    step = torch.load(last_checkpoint(place, "killed"), weights_only=True)["global_step"]
    more = started(place, "killed", "resume=auto", f"trainer.max_steps={step + 2}", "trainer.max_epochs=500").wait()
    assert more.code == 0, more.output[-3000:]
    assert torch.load(last_checkpoint(place, "killed"), weights_only=True)["global_step"] == step + 2


def test_the_other_ranks_do_not_outlive_the_first(place):
    command, second = train_until_saved(place, "first")
    began = time.monotonic()
    command.process.kill()
    wait_for_the_end_of(second, began)
    assert "rank 0 has ended" in words(command.wait().output)


def test_a_loss_that_is_no_number_on_one_rank_ends_all_with_its_message(place):
    began_at = time.monotonic()
    done = started(place, "diverged", "trainer.max_epochs=3", *FAULT).wait()
    assert done.code == 1 and time.monotonic() - began_at < 100
    assert "rank 1 (" in done.output
    assert "NonFiniteLossError: the loss is not finite, for this test" in words(done.output)
    assert torch.load(last_checkpoint(place, "diverged"), weights_only=True)["global_step"] == 2


def test_a_job_of_a_sweep_whose_rank_fails_is_recorded_with_the_reason_and_the_next_one_runs(place):
    fault = (*FAULT[:2], "+callbacks.fault.step=0,9")
    done = started(place, "sweep", "trainer.max_epochs=1", *fault, "-m").wait()
    assert done.code == 1
    assert "1 of 2 jobs failed (1 done)" in words(done.output)
    assert "diverged" in done.output
    jobs = sorted((place / "sweep" / "shapes_small").iterdir())
    assert [job.name[-2:] for job in jobs] == ["_0", "_1"]
    assert not (jobs[0] / "metrics.json").exists()
    assert "test/segm_map" in json.loads((jobs[1] / "metrics.json").read_text())


def test_ctrl_c_stops_both_ranks_at_the_same_step_and_saves(place):
    command, second = train_until_saved(place, "stopped")
    before = torch.load(last_checkpoint(place, "stopped"), weights_only=True)["global_step"]
    command.press_ctrl_c()
    done = command.wait()
    wait_for_the_end_of(second, time.monotonic())
    assert done.code == 130 and "Traceback" not in done.output
    assert torch.load(last_checkpoint(place, "stopped"), weights_only=True)["global_step"] > before
