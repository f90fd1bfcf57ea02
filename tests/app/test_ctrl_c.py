"""Ctrl-C is for the whole command: also where the training it falls into ends by itself at that moment."""

import os
import signal
from types import SimpleNamespace

import pytest

from instseg.checkpoints.last_checkpoint import LastCheckpoint

TRAINER = SimpleNamespace(received_sigterm=False, world_size=1)


@pytest.fixture
def saving(tmp_path):
    """A callback that listens to signals, as during a training; afterwards they mean what they did."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    callback = LastCheckpoint(tmp_path, None)
    callback.on_train_start(TRAINER, None)
    yield callback
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_a_training_that_fails_after_ctrl_c_does_not_swallow_it(saving):
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        saving.on_exception(TRAINER, None, RuntimeError("given up"))


def test_after_a_training_that_failed_ctrl_c_is_obeyed_at_once(saving):
    saving.on_exception(TRAINER, None, RuntimeError("given up"))
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
