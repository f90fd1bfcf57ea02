"""Checks of a config that import what it names, and ask this machine for its devices."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

import torch
from hydra.utils import get_object
from omegaconf import DictConfig

from instseg.app.check_config import check_keys, checked_run_config
from instseg.app.config import Node, RunConfig
from instseg.app.known_builders import model_builder_of
from instseg.core.errors import InstsegError
from instseg.core.segmenter import Devices
from instseg.models.builder import options_of

OWN_TRAINER_KEYS = ("checkpoint_every_minutes",)  # stand with Lightning's, which does not know them
HYDRA_KEYS = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


def checked_for_this_machine(composed: DictConfig) -> RunConfig:
    """Turn the composed config of ``train.py`` into typed values that can work with what is installed and built in.

    Raises:
        InstsegError: the first thing that cannot work, with key, expected and found.
    """
    config = checked_run_config(composed)
    check_calls(config.resolved)
    _check_hardware(config)
    return config


def check_calls(config: Node) -> None:
    """Check that all the parts that a config names can be imported, and have the parameters that it gives them."""
    for path, node in _nodes_with_target(config, ""):
        _check_call(path, node)


def _nodes_with_target(node: Mapping[str, object], prefix: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            path = f"{prefix}{key}."
            if "_target_" in value:
                yield path, value
            yield from _nodes_with_target(value, path)


def _check_call(path: str, node: Mapping[str, object]) -> None:
    """Compare the keys beside ``_target_`` with its parameters: a misspelt one is not noticed hours later."""
    try:
        target = get_object(str(node["_target_"]))
    except Exception as error:
        raise InstsegError(f"{path}_target_={node['_target_']}: cannot be imported: {error}") from error
    parameters = inspect.signature(target).parameters
    if any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
        return
    known = [*parameters, *(OWN_TRAINER_KEYS if path == "trainer." else ())]
    check_keys(path, (key for key in node if key not in HYDRA_KEYS and key != "suggested"), known)


def _check_hardware(config: RunConfig) -> None:
    trainer = config.trainer
    has_gpu = torch.cuda.is_available()
    if trainer.accelerator in ("gpu", "cuda") and not has_gpu:
        raise InstsegError(
            f"trainer.accelerator={trainer.accelerator}: PyTorch {torch.__version__} finds no GPU here. "
            "Use trainer=cpu, or check the driver with nvidia-smi"
        )
    on_gpu = has_gpu and trainer.accelerator != "cpu"
    if str(trainer.precision).startswith("16") and not on_gpu:
        raise InstsegError(f"trainer.precision={trainer.precision} needs a GPU; on CPU use 32-true or bf16-mixed")
    devices = Devices(on_gpu, is_single=trainer.strategy == "auto" and trainer.devices in (1, "1"))
    model_builder_of(config.model).check_devices(options_of(config.model), devices)
