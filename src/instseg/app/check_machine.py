"""Checks of a config of training that import what it names, and ask this machine for its devices."""

from __future__ import annotations

import torch
from omegaconf import DictConfig

from instseg.app.check_calls import check_calls
from instseg.app.check_choices import check_precision
from instseg.app.check_config import checked_run_config
from instseg.app.config import RunConfig
from instseg.app.known_builders import model_builder_of
from instseg.core.errors import InstsegError
from instseg.core.segmenter import Devices
from instseg.models.builder import options_of


def checked_for_this_machine(composed: DictConfig) -> RunConfig:
    """Turn the composed config of ``train.py`` into typed values that can work with what is installed and built in.

    Raises:
        InstsegError: the first thing that cannot work, with key, expected and found.
    """
    config = checked_run_config(composed)
    check_calls(config.resolved)
    _check_hardware(config)
    return config


def _check_hardware(config: RunConfig) -> None:
    trainer = config.trainer
    has_gpu = torch.cuda.is_available()
    if trainer.accelerator in ("gpu", "cuda") and not has_gpu:
        raise InstsegError(
            f"trainer.accelerator={trainer.accelerator}: PyTorch {torch.__version__} finds no GPU here. "
            "Use trainer=cpu, or check the driver with nvidia-smi"
        )
    on_gpu = has_gpu and trainer.accelerator != "cpu"
    check_precision(config, on_gpu)
    devices = Devices(on_gpu, is_single=trainer.strategy == "auto" and trainer.devices in (1, "1"))
    model_builder_of(config.model).check_devices(options_of(config.model), devices)
