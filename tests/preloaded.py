"""What every command imports and parses, once: in the process that the commands of the tests are forked from."""

from __future__ import annotations

import importlib
import pkgutil

import boto3  # noqa: F401  (TensorBoard's writer imports it)
import s3fs  # noqa: F401  (Lightning imports it in each run)
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf
from parsed_once import parsing_once
from torch.utils.tensorboard import SummaryWriter  # noqa: F401

import instseg
from instseg.app.conf_folder import CONFIG_DIR

for module in pkgutil.walk_packages(instseg.__path__, "instseg."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
Plugins.instance()
OmegaConf.load = parsing_once(OmegaConf.load)
for path in CONFIG_DIR.rglob("*.yaml"):
    OmegaConf.load(path)
