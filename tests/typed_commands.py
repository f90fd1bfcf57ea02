"""Commands as a user types them, without paying seconds of imports each time: processes forked from one that has done
them. What the commands start themselves, such as the other ranks of Lightning, are processes like any other."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

from command_server import start_server
from torch.distributed import TCPStore

ROOT = Path(__file__).parents[1]
OUTSIDE = ROOT / "tests" / "outside"
TIMEOUT_SECONDS = 200
NETWORK = (
    "model.fpn_channels=16", "model.rpn.batch_size_per_image=32", "model.rpn.pre_nms_top_n_train=50",
    "model.rpn.post_nms_top_n_train=50", "model.rpn.pre_nms_top_n_test=50", "model.rpn.post_nms_top_n_test=20",
    "model.box.num_convs=1", "model.box.conv_channels=8", "model.box.head_channels=16",
    "model.box.batch_size_per_image=16", "model.box.detections_per_image=5", "model.mask.num_convs=1",
    "model.mask.channels=8",
)  # fmt: skip
"""All parts of Mask R-CNN in small."""
QUICK_FOR_ANY_NETWORK = (
    "num_workers=0", "report=false", "callbacks.progress=null", "callbacks.pictures=null", "callbacks.curves=null",
    "trainer.num_sanity_val_steps=0", "dataset.image_side_px=[64,64]", "augmentation.min_size=64",
    "augmentation.max_size=64",
)  # fmt: skip
QUICK = (*QUICK_FOR_ANY_NETWORK, *NETWORK)
"""Settings of a training whose steps take less time than its start."""
_forks = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Done:
    code: int
    output: str

    @property
    def last_line(self) -> Path:
        return Path(self.output.strip().splitlines()[-1])


class Command:
    """``python train.py <arguments>``, or another script of the top level, that has been started."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        script: str = "train.py",
        folder: Path = ROOT,
    ) -> None:
        descriptor, name = tempfile.mkstemp(suffix=".log")
        os.close(descriptor)
        self.log = Path(name)
        merged = {**os.environ, **(environment or {})}
        start_server()
        self.process: BaseProcess = _forks.Process(target=_enter, args=(script, list(arguments), merged, name, folder))
        self.process.start()

    def press_ctrl_c(self) -> None:
        """As a terminal does: the command and all that it has started get it."""
        assert self.process.pid is not None
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self) -> Done:
        self.process.join(TIMEOUT_SECONDS)
        assert self.process.exitcode is not None, self.log.read_text()[-3000:]
        return Done(self.process.exitcode, self.log.read_text())

    def succeed(self) -> Done:
        """Wait for the good end of the command."""
        done = self.wait()
        assert done.code == 0, done.output[-3000:]
        return done


def _enter(script: str, arguments: list[str], environment: dict[str, str], log: str, folder: Path) -> None:
    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))  # read by Python at its start only
    os.chdir(folder)
    sys.argv = [script, *arguments]
    try:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def wait_until(holds: Callable[[], object], command: Command) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not holds():
        assert command.process.is_alive() and time.monotonic() < deadline, command.log.read_text()[-3000:]
        time.sleep(0.1)


def train(*arguments: str) -> Done:
    """Run the command to its good end."""
    return Command(arguments).succeed()


def with_own_files(script: str, *arguments: str) -> Command:
    """Start a command with the files of ``tests/outside`` on the path and their ``--config-dir``."""
    return Command([f"--config-dir={OUTSIDE / 'conf'}", *arguments], {"PYTHONPATH": str(OUTSIDE)}, script)


def train_as_ranks(world_size: int, *arguments: str, attempt: int = 0) -> list[Done]:
    """As torchrun starts it: the variables that it sets, and the store that its agent keeps.

    ``attempt``: how often it has started them before.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=60))
    environment = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": str(world_size), "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "tests",
        "TORCHELASTIC_RESTART_COUNT": str(attempt), "TORCHELASTIC_USE_AGENT_STORE": "True",
    }  # fmt: skip
    ranks = [
        Command(arguments, {**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(world_size)
    ]
    return [rank.wait() for rank in ranks]
