"""A signal to one rank stops all of them before the same batch, wherever in their steps it reaches them."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from killed_runs import assert_equal, left_by, run
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.exceptions import SIGTERMException
from sampled import first

from instseg.distributed.interruption import StoppedTogether, TerminatedTogether
from instseg.training import coordinated_stop as stopping
from instseg.training.coordinated_stop import StopTogether

FAST = ("trainer.max_epochs=1", "model.norm=gn")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that was never stopped."""
    folder = tmp_path_factory.mktemp("stopping") / "whole"
    assert run(folder, *FAST) == 0
    return folder


def trainer(accumulate: int = 1):
    return SimpleNamespace(accumulate_grad_batches=accumulate, global_step=0)


def rank(store: dist.Store | None) -> StopTogether:
    callback = StopTogether()
    callback.store, callback.is_training = store, True
    return callback


def batches_until_stop(callback: StopTogether, accumulate: int = 1, most: int = 50) -> int:
    for batch in range(callback.num_batches, most):
        try:
            callback.on_train_batch_start(trainer(accumulate), None, None, batch)
        except (KeyboardInterrupt, SIGTERMException) as error:
            callback.raised = error
            return batch
    raise AssertionError("did not stop")


@pytest.mark.parametrize(("signum", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SIGTERMException)])
def test_a_signal_to_one_rank_stops_all_before_the_same_batch(signum, error):
    store = dist.HashStore()
    first, second = rank(store), rank(store)
    for callback in (first, second):
        callback.on_train_batch_start(trainer(), None, None, 0)
    second.on_train_batch_start(trainer(), None, None, 1)  # it is one batch further
    first._note(signum, None)
    stops = [batches_until_stop(first), batches_until_stop(second)]
    assert stops[0] == stops[1] > 1
    for callback in (first, second):
        assert isinstance(callback.raised, error) and isinstance(callback.raised, StoppedTogether)


def test_signals_that_reach_all_ranks_at_different_batches_stop_them_once():
    store = dist.HashStore()
    ranks = [rank(store) for _ in range(3)]
    for number, callback in enumerate(ranks):
        for batch in range(number):
            callback.on_train_batch_start(trainer(), None, None, batch)
        callback._note(signal.SIGTERM, None)
    assert len({batches_until_stop(callback) for callback in ranks}) == 1


def test_no_accumulated_gradients_are_left_over():
    callback = rank(dist.HashStore())
    callback._note(signal.SIGTERM, None)
    assert batches_until_stop(callback, accumulate=4) % 4 == 0


def test_a_single_process_stops_before_the_next_batch_when_its_time_is_up():
    callback = rank(None)
    callback.on_train_batch_start(trainer(), None, None, 0)
    callback._note(signal.SIGUSR1, None)
    assert batches_until_stop(callback) == 1


@pytest.mark.parametrize(("signum", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SIGTERMException)])
def test_a_second_signal_is_obeyed_anywhere_and_its_echo_is_not(signum, error, monkeypatch):
    callback, now = rank(dist.HashStore()), [100.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])
    callback._note(signum, None)
    now[0] += 0.5  # from the process that has started this one
    callback._note(signum, None)
    now[0] += 5
    with pytest.raises(error) as caught:
        callback._note(signum, None)
    assert not isinstance(caught.value, StoppedTogether)


class Together:
    """The strategy of one of several ranks in one process, each in a thread of its own: they wait for each other."""

    root_device = "cpu"

    def __init__(self, num_ranks: int) -> None:
        self.barrier = threading.Barrier(num_ranks, timeout=120)
        self.said: list[int] = []

    def reduce(self, mine: torch.Tensor, reduce_op: str) -> int:
        self.said.append(int(mine))
        self.barrier.wait()
        result = {"min": min, "max": max}[reduce_op](self.said)
        if self.barrier.wait() == 0:
            self.said.clear()
        self.barrier.wait()
        return result

    def reduce_boolean_decision(self, decision: bool, all: bool) -> bool:
        return bool(self.reduce(torch.tensor(int(decision)), "max"))


def validate(callback: StopTogether, strategy: Together, num_batches: int, told_before: int | None) -> int:
    """The batch of a validation before which a rank stops, or their number."""
    progress = SimpleNamespace(processed=1)
    loops = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(current=progress)))
    fitting = SimpleNamespace(
        state=SimpleNamespace(fn=TrainerFn.FITTING), strategy=strategy, num_val_batches=[num_batches], fit_loop=loops,
        accumulate_grad_batches=1, num_training_batches=1,
    )  # fmt: skip
    callback.on_validation_start(fitting, None)
    for batch in range(num_batches):
        if batch == told_before:
            callback._note(signal.SIGUSR1, None)
        try:
            callback.on_validation_batch_start(fitting, None, None, batch)
        except TerminatedTogether:
            return batch
    return num_batches


@pytest.mark.parametrize(("told_before", "stops"), [(0, [0, 0]), (1, [10, 10]), (11, [21, 20])])
def test_ranks_stop_before_the_same_batch_of_a_validation_or_after_it(told_before, stops):
    """The first rank has one batch more than the second, which is told; they look at batches 0 and 10."""
    store, strategy = dist.HashStore(), Together(2)
    ranks = [rank(store), rank(store)]
    with ThreadPoolExecutor(2) as threads:
        jobs = [
            threads.submit(validate, callback, strategy, num_batches, told)
            for callback, num_batches, told in zip(ranks, (21, 20), (None, told_before), strict=True)
        ]
        assert [job.result() for job in jobs] == stops
    if stops != [21, 20]:
        assert [callback.signum for callback in ranks] == [signal.SIGUSR1] * 2


def test_outside_of_the_training_the_first_rank_asks_for_more_before_it_ends_the_others(monkeypatch):
    asked = []
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(stopping, "requeue", asked.append)
    StopTogether(is_first_rank=False)._note(signal.SIGUSR1, None)
    assert not asked
    first = StopTogether()
    with pytest.raises(SIGTERMException):
        first._note(signal.SIGUSR1, None)
    first.queue_again()
    assert asked == ["7"], "once"


def test_what_was_heard_after_the_last_batch_of_the_training_is_obeyed_before_the_test():
    callback = rank(dist.HashStore())
    callback._note(signal.SIGTERM, None)
    callback.on_fit_end(None, None)
    with pytest.raises(SIGTERMException):
        callback.on_test_start(SimpleNamespace(world_size=1), None)


def with_scontrol(folder: Path) -> Path:
    """A folder with a command of SLURM's that writes down what it is asked for."""
    folder.mkdir()
    (folder / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n')
    (folder / "scontrol").chmod(0o755)
    return folder


@pytest.mark.parametrize(
    "moment", first(0, ["on_validation_batch_start", "on_sanity_check_start", "on_test_batch_start"])
)
def test_time_that_is_up_outside_of_a_step_loses_nothing_and_the_job_is_queued_again(moment, whole, monkeypatch):
    folder = whole.parent / moment
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PATH", f"{with_scontrol(folder.parent / f'{moment}_bin')}:{os.environ['PATH']}")
    sanity = "trainer.num_sanity_val_steps=1"
    count = 2 if moment == "on_validation_batch_start" else 1  # 1 is in the sanity check
    assert run(folder, *FAST, sanity, kill=f"{moment}:{count}:SIGUSR1") == 128 + signal.SIGUSR1
    assert (folder.parent / f"{moment}_bin/asked").read_text() == "requeue 7\n"
    assert run(folder, *FAST, sanity, resume=True) == 0
    assert_equal(left_by(folder), left_by(whole))


@pytest.mark.parametrize(("signum", "asks"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_the_scheduler_is_asked_for_more_only_when_the_time_is_up(signum, asks, monkeypatch):
    asked = []
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(stopping, "requeue", asked.append)
    callback = rank(None)
    callback._note(signum, None)
    callback.queue_again()
    assert asked == (["7"] if asks else [])


def test_submitit_requeues_by_itself():
    called = []
    callback = rank(None)
    callback.before = {signal.SIGUSR2: lambda signum, frame: called.append(signum)}
    callback._note(signal.SIGUSR2, None)
    callback.queue_again()
    assert called == [signal.SIGUSR2]
