"""Ctrl-C is for the whole command: also where the training it falls into ends by itself at that moment."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from instseg.checkpoints.last_checkpoint import LastCheckpoint
from instseg.core.command_line import quiet_interruption

ROOT = Path(__file__).parents[2]

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


def test_ctrl_c_ends_a_command_with_one_word_and_the_exit_code_of_shells(capsys):
    with pytest.raises(SystemExit) as ended, quiet_interruption():
        os.kill(os.getpid(), signal.SIGINT)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("script", ["train.py", "predict.py", "src/instseg/__main__.py"])
def test_a_command_is_quiet_at_ctrl_c_before_it_imports_anything_that_takes_time(script):
    slow = "{'hydra', 'torch', 'rich', 'numpy'}"
    loaded = f"import sys, instseg.core.command_line; sys.exit(bool({slow} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
    imports, _, body = (ROOT / script).read_text().partition("quiet_interruption():")
    assert "instseg.app.command" not in imports and body
