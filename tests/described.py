"""Entries ``instseg`` of made checkpoints."""

from __future__ import annotations

from typing import Any

from instseg import __version__
from instseg.checkpoints.description import FORMAT

TRAINING: dict[str, Any] = {
    "epochs": 3, "batches": 0, "processes": 1, "validation_due": False, "logged_steps": 0, "is_stopped": False,
    "metrics": {}, "random": [], "events": {},
}  # fmt: skip


def entry(**changes: Any) -> dict[str, Any]:
    """What a checkpoint of this version says about itself, but for the changes."""
    written = {
        "format": FORMAT, "version": __version__, "packages": {}, "categories": ["car", "person"],
        "preprocessing": {"min_size": 100, "max_size": 200}, "config": {}, "data_fingerprint": "f00", "metrics": {},
        "training": TRAINING,
    }  # fmt: skip
    return written | changes
