"""Starts of runs for tests, without looking at the machine."""

from __future__ import annotations

from typing import Any

from instseg.runs.manifest import Git, Hardware, RunStart


def run_start(**changes: Any) -> RunStart:
    """A start with other values where ``changes`` has them."""
    usual: dict[str, Any] = {
        "started": "2026-01-31T12:00:00+00:00",
        "command": ["train.py", "dataset=shapes"],
        "seed": 3,
        "data_fingerprint": "f00",
        "git": Git(commit="abc", dirty_diff=""),
        "packages": {"torch": "2.15"},
        "processes": 1,
        "hardware": Hardware(platform="Linux", torch_threads=1, gpus=["H100"]),
    }
    return RunStart(**usual | changes)
