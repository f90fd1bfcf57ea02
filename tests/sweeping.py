"""Sweeps for the tests: the real config and sweeper around a made-up training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from msgspec.structs import replace

import instseg.app.command  # noqa: F401  (the run_folder resolver)
from instseg.app.conf_folder import CONFIG_DIR
from instseg.core.overrides import quoted
from instseg.sweeps import leaderboard
from instseg.sweeps.records import DONE, JobRecord, SweepInfo
from instseg.sweeps.sweep_folder import SweepFolder


def swept(folder: Path, train: Callable[[Any], float | None], *typed: str) -> SweepFolder:
    """Run ``train.py <typed>`` with another training function; the sweep's folder, also where it ends in an error."""
    GlobalHydra.instance().clear()
    version.setbase("1.3")
    hydra = Hydra.create_main_hydra2("train", create_config_search_path(str(CONFIG_DIR)))
    sweep = folder / "sweeps" / "one"
    places = [quoted("outputs", folder), quoted("hydra.sweep.dir", sweep), "hydra.mode=MULTIRUN"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", "-m", *typed])
        patch.setattr(leaderboard, "plot_values", lambda rows, info, path: path.touch())  # a second each
        try:
            hydra.multirun("train", train, [*typed, *places], with_log_configuration=False)
        finally:
            GlobalHydra.instance().clear()
    return SweepFolder(sweep)


def states(folder: SweepFolder) -> list[str]:
    return [record.state for record in folder.records()]


def info(**changes: Any) -> SweepInfo:
    made = SweepInfo(
        command=["-m", "optimizer.lr=0.1,0.2"], strategy="grid", options={}, metric="val/segm_map", mode="max",
        values=["optimizer.lr"],
    )  # fmt: skip
    return replace(made, **changes)


def record(number: int, values: Mapping[str, object], metric: float | None = None, **more: Any) -> JobRecord:
    """A job that is done, unless its state says something else."""
    texts = {key: str(value) for key, value in values.items()}
    return JobRecord(number=number, values=texts, overrides=[], metric=metric, **{"state": DONE, **more})
