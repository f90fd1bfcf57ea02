"""Differences between two resolved configs, or any two nested mappings."""

from __future__ import annotations

from collections.abc import Collection, Mapping

ABSENT = "absent"
CHANGES_NOTHING = (
    "run_dir", "outputs", "cache_dir", "resume", "reproduce", "stage", "checkpoint", "num_workers", "logger", "metrics",
    "colour_by", "operating_point", "recalibrate",
    "trainer.enable_progress_bar", "trainer.checkpoint_every_minutes", "trainer.log_every_n_steps",
    *(f"callbacks.{name}" for name in ("best", "last", "pictures", "throughput", "curves", "progress", "profile")),
)  # fmt: skip
"""Settings that decide where a run lies and what is shown of it, and nothing of what is learnt."""

Differences = dict[str, tuple[object, object]]
"""Dotted key -> the value before and the value now."""


def differences(
    before: Mapping[str, object], now: Mapping[str, object], ignored: Collection[str] = (), prefix: str = ""
) -> Differences:
    """Compare two nested mappings.

    Args:
        before: one mapping.
        now: the other.
        ignored: dotted keys to skip.
        prefix: what stands before each key, with its dot.

    Returns:
        Dotted key -> both values, for each value that differs; ``ABSENT`` stands for a missing key.
    """
    found: Differences = {}
    for key in sorted({*before, *now}, key=str):
        name, then, current = f"{prefix}{key}", before.get(key, ABSENT), now.get(key, ABSENT)
        if then == current or name in ignored:
            continue
        if isinstance(then, Mapping) and isinstance(current, Mapping):
            found |= differences(then, current, ignored, f"{name}.")
        else:
            found[name] = then, current
    return found


def in_words(found: Differences, before: str) -> str:
    """Return ``optimizer.lr: 0.001 in the checkpoint, 0.01 now; …``.

    Args:
        found: the differences.
        before: what held the values before, such as "the checkpoint".
    """
    return "; ".join(f"{name}: {then} in {before}, {current} now" for name, (then, current) in found.items())
