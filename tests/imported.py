"""All that a run imports when it comes to it, imported: before processes are forked that would each do so."""

import importlib
import pkgutil

import boto3  # noqa: F401  (TensorBoard's writer imports it)
import s3fs  # noqa: F401  (Lightning imports it in each run)
from torch.utils.tensorboard import SummaryWriter  # noqa: F401

import instseg

for module in pkgutil.walk_packages(instseg.__path__, "instseg."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
