"""What every command imports and composes, once: in the process that the commands of the tests are forked from."""

from __future__ import annotations

import gc
import importlib
import pkgutil

import boto3  # noqa: F401  (TensorBoard's writer imports it)
import pytest
import s3fs  # noqa: F401  (Lightning imports it in each run)
from composed_once import compose_once
from hydra.core.plugins import Plugins
from torch.utils.tensorboard import SummaryWriter  # noqa: F401

import instseg
from instseg.app.compose import compose

for module in pkgutil.walk_packages(instseg.__path__, "instseg."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
Plugins.instance()
compose_once(pytest.MonkeyPatch())
for name in ("train", "predict"):
    compose(name, [])
gc.freeze()
