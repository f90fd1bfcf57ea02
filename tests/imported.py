"""All that a run imports when it comes to it, imported: before processes are forked that would each do so."""

import importlib
import pkgutil

import boto3  # noqa: F401  (TensorBoard's writer imports it)
import s3fs  # noqa: F401  (Lightning imports it in each run)
from torch.utils.tensorboard import SummaryWriter  # noqa: F401

import instseg

OTHERS = ("instseg.__main__", "instseg.app.cvat_function")
"""Modules that no run imports: of the command itself, and for the client of CVAT, which may not be installed."""
for module in pkgutil.walk_packages(instseg.__path__, "instseg."):
    if module.name not in OTHERS:
        importlib.import_module(module.name)
