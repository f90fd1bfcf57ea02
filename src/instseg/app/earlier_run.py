"""The part of a config that an earlier run decides, and this machine where there is none."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch

from instseg.app.config import Name, RunConfig, TrainerConfig
from instseg.core.files import absolute_path
from instseg.core.precision import fastest_precision
from instseg.core.records import RecordError
from instseg.runs.folders import is_begun_earlier
from instseg.runs.outcome import read_settings

AUTO = "auto"


def of_earlier_run(config: RunConfig) -> RunConfig:
    """Complete a config by what an earlier run, or the earlier part of this one, has decided.

    Args:
        config: of the run.
    """
    return with_precision(_resumed_if_begun(config))


def _resumed_if_begun(config: RunConfig) -> RunConfig:
    """Resume the run that this job began before its scheduler restarted it; ranks that it starts do so as well."""
    if config.stage == "fit" and is_begun_earlier(config.folder):
        return msgspec.structs.replace(config, resume=Name(config.run_dir))
    return config


def with_precision(config: RunConfig) -> RunConfig:
    """Replace ``trainer.precision=auto`` by a precision, also in the record.

    A run that is resumed or reproduced keeps the one that it had, on whatever machine; a new one takes the fastest of
    this machine.

    Args:
        config: of the run.
    """
    if config.trainer.precision != AUTO:
        return config
    precision = _earlier_precision(config) or fastest_precision(device_type(config.trainer))
    trainer = msgspec.structs.replace(config.trainer, precision=precision)
    resolved = {**config.resolved, "trainer": {**config.trainer_options, "precision": precision}}
    return msgspec.structs.replace(config, trainer=trainer, resolved=resolved)


def device_type(trainer: TrainerConfig) -> str:
    """Return cpu, cuda, mps, … of the devices that Lightning will choose."""
    if trainer.accelerator in ("gpu", "cuda") or (trainer.accelerator == AUTO and torch.cuda.is_available()):
        return "cuda"
    if trainer.accelerator == AUTO:
        return "mps" if torch.backends.mps.is_available() else "cpu"
    return trainer.accelerator


def _earlier_precision(config: RunConfig) -> str | int | None:
    """Return the precision of the run that is resumed or reproduced; None where there is none, or no record of it."""
    run = config.folder if config.resume else absolute_path(config.reproduce) if config.reproduce else None
    try:
        trainer = _settings(run).get("trainer")
    except RecordError:
        return None
    found = trainer.get("precision") if isinstance(trainer, dict) else None
    return found if isinstance(found, str | int) and found != AUTO else None


def _settings(run: Path | None) -> dict[str, object]:
    return read_settings(run) if run else {}
