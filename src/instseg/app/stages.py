"""The stages of ``train.py``, and the function that runs each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from instseg.app.config import RunConfig
from instseg.app.job import Job

Stage = Callable[[RunConfig, Job], Mapping[str, float]]
"""Runs a stage and returns all metrics."""

STAGES = {
    "fit": ("train", "fit_and_test"),
    "validate": ("evaluate", "evaluate"),
    "test": ("evaluate", "evaluate"),
    "report": ("evaluate", "evaluate"),
    "label_errors": ("label_errors", "label_errors"),
    "export": ("export", "export_checkpoint"),
    "audit": ("audit", "audit"),
    "show_augmentation": ("show_augmentation", "show_augmentation"),
}
"""Name -> module beside this one, and function. Imported when chosen: none needs all that the others do."""


def stage_of(name: str) -> Stage:
    """Return the function that runs a stage, one of ``STAGES``."""
    module, function = STAGES[name]
    return cast(Stage, getattr(import_module(f"instseg.app.{module}"), function))
