"""Short trainings in processes of their own, killed where a test wants it, and what is left of them.

They are forked from the server of the commands: where this process has computed a gradient, its forks cannot.
"""

from __future__ import annotations

import csv
import functools
import json
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imported  # noqa: F401
import torch
from command_server import start_server
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.precision import MixedPrecision
from typed_commands import NETWORK, OUTSIDE

from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.run import run as run_stage
from instseg.core.errors import InstsegError
from instseg.training.tensorboard import read_scalars

SHORT = (
    "trainer.accelerator=cpu", "trainer.devices=1", "trainer.max_epochs=3", "trainer.log_every_n_steps=1",
    "trainer.enable_progress_bar=false", "trainer.num_sanity_val_steps=0",
    "monitor.metric=val/loss", "monitor.mode=min", "dataset.num_images={train: 8, val: 3, test: 2}", "batch_size=2",
    "num_workers=0", "report=false", "callbacks.pictures=null", "callbacks.curves=null",
    "augmentation.min_size=64", "augmentation.max_size=64",
    *NETWORK,
)  # fmt: skip
"""Three epochs of four steps, each followed by a validation of three batches, of all parts of a network in small."""
TINY_BACKBONE = {"_target_": "tiny_backbone.TinyBackbone", "width": 8}
"""A megabyte of a checkpoint instead of 34, and steps of half the time."""
EVERY_STEP = "trainer.checkpoint_every_minutes=1e-9"
_forks = multiprocessing.get_context("forkserver")
MEASURED_TIME = "images_per_second"
MEASURED_TIMES = (MEASURED_TIME, "elapsed_seconds")


class KillAt(Callback):
    """The process gets a signal the ``count``-th time that a hook is called."""

    def __init__(self, hook: str, count: int, signum: int = signal.SIGKILL) -> None:
        self.left, self.signum = count, signum
        if hook == "half_written":
            torch.save = functools.partial(self._save_half, torch.save)
        else:
            setattr(self, hook, self._count)

    def _count(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.signum)

    def _save_half(self, save: Any, content: Any, file: Any) -> None:
        save(content, file)
        if self.left == 1:
            file.truncate(file.tell() // 2)
        self._count()


class ScalesLosses(Callback):
    """``precision=16-mixed`` on a CPU, where Lightning has none: losses are scaled, twice as much after each step."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1)
        trainer.strategy.precision_plugin = MixedPrecision("16-mixed", "cpu", scaler)


def run(folder: Path, *overrides: str, kill: str | None = None, resume: bool = False) -> int:
    """Train in ``folder``; the exit code, negative for a signal. ``kill``: ``hook:count`` or ``hook:count:signal``."""
    changes: dict[str, object] = {"run_dir": str(folder), "cache_dir": f"{folder.parent}/data"}
    changes["model.backbone"] = TINY_BACKBONE
    if kill is not None:
        hook, count, *signum = kill.split(":")
        changes["callbacks.kill"] = {"_target_": "killed_runs.KillAt", "hook": hook, "count": int(count)}
        changes |= {"callbacks.kill.signum": int(signal.Signals[signum[0]])} if signum else {}
    if resume:
        changes["resume"] = str(folder)
    start_server()
    child = _forks.Process(target=_enter, args=(folder, _composed(overrides), changes, dict(os.environ)))
    child.start()
    child.join()
    assert child.exitcode is not None
    return child.exitcode


@functools.cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    """Compose the settings that several runs share; each run changes its own copy, in its process."""
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return compose("train", overrides=[*SHORT, *overrides])


def _enter(folder: Path, config: DictConfig, changes: Mapping[str, object], environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os._exit(_train(folder, config, changes))


def _train(folder: Path, config: DictConfig, changes: Mapping[str, object]) -> int:
    sys.path.append(str(OUTSIDE))
    try:
        for key, value in changes.items():
            OmegaConf.update(config, key, value, force_add=True)
        folder.mkdir(exist_ok=True)
        run_stage(config)
    except InstsegError as error:
        (folder / "error.txt").write_text(str(error))
        return 1
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 99
    return 0


def left_by(folder: Path) -> dict[str, Any]:
    """Weights and the state of the optimizer at the end, best weights, curves and metrics: all but measured time."""
    last, best = (torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True) for name in ("last", "best"))
    scalars = {name: curve for name, curve in read_scalars(folder).items() if name != MEASURED_TIME}
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics.pop(MEASURED_TIME, None)
    return {
        "weights": last["state_dict"],
        "current": last.get("current_model_state"),
        "optimizer": last["optimizer_states"],
        "schedule": last["lr_schedulers"],
        "steps": last["global_step"],
        "scaler": last.get(MixedPrecision.__qualname__),
        "best": best["state_dict"],
        "curves": scalars,
        "metrics": metrics,
        "history": _history(folder),
    }


def _history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name not in MEASURED_TIMES} for row in rows]


def assert_equal(ours: Any, theirs: Any, where: str = "") -> None:
    """Bit for bit; names what differs."""
    if isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), where
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for key in ours:
            assert_equal(ours[key], theirs[key], f"{where} {key}")
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), where
        for number, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_equal(*pair, f"{where} {number}")
    else:
        assert ours == theirs or (ours != ours and theirs != theirs), (where, ours, theirs)
