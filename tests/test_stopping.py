"""A signal to one rank stops all of them before the same batch, wherever in their steps it reaches them."""

import signal
from types import SimpleNamespace

import pytest
import torch.distributed as dist
from pytorch_lightning.utilities.exceptions import SIGTERMException

from instseg import stopping
from instseg.stopping import StopTogether


def trainer(accumulate: int = 1):
    return SimpleNamespace(accumulate_grad_batches=accumulate, global_step=0)


def rank(store: dist.Store | None) -> StopTogether:
    callback = StopTogether()
    callback.store = store
    return callback


def batches_until_stop(callback: StopTogether, accumulate: int = 1, most: int = 50) -> int:
    for batch in range(callback.num_batches, most):
        try:
            callback.on_train_batch_start(trainer(accumulate), None, None, batch)
        except (KeyboardInterrupt, SIGTERMException) as error:
            callback.raised = type(error)
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
    assert first.raised is second.raised is error


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


def test_a_single_process_stops_at_once_and_a_second_ctrl_c_does_so_anywhere():
    callback = rank(None)
    callback.on_train_batch_start(trainer(), None, None, 0)
    callback._note(signal.SIGUSR1, None)
    assert batches_until_stop(callback) == 1
    with pytest.raises(KeyboardInterrupt):
        callback._note(signal.SIGINT, None)


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
