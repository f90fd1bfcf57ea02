"""Entries ``instseg`` of made checkpoints."""

from __future__ import annotations

from typing import Any

import msgspec

from instseg import __version__
from instseg.checkpoints.description import FORMAT
from instseg.checkpoints.operating_points import OperatingPoints, StoredPoint, stored_estimate

TRAINING: dict[str, Any] = {
    "epochs": 3, "batches": 0, "processes": 1, "validation_due": False, "logged_steps": 0, "is_stopped": False,
    "metrics": {}, "random": [], "events": {},
}  # fmt: skip


POINTS = OperatingPoints(
    "f1",
    16,
    [
        StoredPoint(name, *(stored_estimate(value, value - 0.1, value + 0.1) for value in numbers), is_reached=True)
        for name, numbers in (("car", (0.62, 0.8, 0.6, 0.7)), ("dog", (0.3, 0.5, 0.5, 0.5)))
    ],
)
"""Operating points of two categories."""


def entry(**changes: Any) -> dict[str, Any]:
    """What a checkpoint of this version says about itself, but for the changes."""
    written = {
        "format": FORMAT, "version": __version__, "packages": {}, "categories": ["car", "person"],
        "preprocessing": {"min_size": 100, "max_size": 200}, "config": {}, "data_fingerprint": "f00", "metrics": {},
        "operating_points": msgspec.to_builtins(POINTS),
        "training": TRAINING,
    }  # fmt: skip
    return written | changes
