"""Settings that Lightning would refuse seconds later, when it is loaded: an unknown strategy, a logger without package.

Imports neither torch nor Lightning.
"""

from __future__ import annotations

import difflib
import importlib.util

from instseg.app.config import RunConfig, class_name
from instseg.core.errors import InstsegError
from instseg.core.text import did_you_mean

PACKAGES = {"WandbLogger": "wandb", "MLFlowLogger": "mlflow", "CometLogger": "comet_ml"}
"""Class of a logger -> the package that it needs besides Lightning."""
EXTRAS = ("wandb", "mlflow")
"""Packages that are an extra of this one, in a version that fits."""
STARTS = ("", "_spawn", "_fork", "_notebook")
UNUSED = ("", "_find_unused_parameters_true", "_find_unused_parameters_false")
STRATEGIES = (
    "auto", "single_device", *(f"ddp{start}{unused}" for start in STARTS for unused in UNUSED), "fsdp",
    "fsdp_cpu_offload", "deepspeed", "deepspeed_stage_1", "deepspeed_stage_2", "deepspeed_stage_2_offload",
    "deepspeed_stage_3", "deepspeed_stage_3_offload", "deepspeed_stage_3_offload_nvme", "single_tpu", "single_xla",
    "xla", "xla_debug",
)  # fmt: skip
"""Names of the strategies of Lightning."""


def check_strategy(config: RunConfig) -> None:
    """Check that a strategy that is named is one of Lightning; one that is built says itself what it refuses.

    Raises:
        InstsegError: it is none.
    """
    name = config.trainer.strategy
    if isinstance(name, str) and name not in STRATEGIES:
        meant = did_you_mean(difflib.get_close_matches(name, STRATEGIES, n=2))
        raise InstsegError(
            f"trainer.strategy={name}: expected auto, ddp or another name of Lightning's StrategyRegistry.{meant}"
        )


def check_loggers(config: RunConfig) -> None:
    """Check that the packages of the loggers are installed; loads none of them.

    Raises:
        InstsegError: one is missing.
    """
    for name, node in config.logger.items():
        package = PACKAGES.get(class_name(node or {}))
        if package is not None and importlib.util.find_spec(package) is None:
            extra = f'"instseg[{package}]"' if package in EXTRAS else package
            raise InstsegError(f"logger={name} needs a package that is not installed: pip install {extra}")
