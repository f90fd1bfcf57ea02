"""What is not the same in two resolved configs, or in any two nested mappings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

ABSENT = "absent"
CHANGES_NOTHING = (
    "run_dir", "outputs", "cache_dir", "resume", "reproduce", "stage", "checkpoint", "num_workers", "logger",
    "trainer.enable_progress_bar", "trainer.checkpoint_every_minutes", "trainer.log_every_n_steps",
    *(f"callbacks.{name}" for name in ("best", "last", "pictures", "throughput", "curves", "progress", "profile")),
)  # fmt: skip
"""Settings that decide where a run lies and what is shown of it, and nothing of what is learnt."""


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], ignored: Collection[str] = (), prefix: str = ""
) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> both values, for each value that is not the same; ``ABSENT`` stands for a key that is not there."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in sorted({*before, *now}):
        name, then, current = f"{prefix}{key}", before.get(key, ABSENT), now.get(key, ABSENT)
        if then == current or name in ignored:
            continue
        if isinstance(then, Mapping) and isinstance(current, Mapping):
            found |= differences(then, current, ignored, f"{name}.")
        else:
            found[name] = then, current
    return found


def in_words(found: Mapping[str, tuple[Any, Any]], before: str) -> str:
    """``optimizer.lr: 0.001 in the checkpoint, 0.01 now; …``"""
    return "; ".join(f"{name}: {then} in {before}, {current} now" for name, (then, current) in found.items())
