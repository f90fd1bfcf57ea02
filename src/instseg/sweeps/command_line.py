"""What was typed, as Hydra reads it, in the words of a sweep."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import DictConfig

from instseg.core.errors import InstsegError
from instseg.sweeps.strategy import Interval, Space


def space_of(overrides: Sequence[Override]) -> Space:
    """What was typed, sorted into what is the same for all jobs, lists, and intervals."""
    fixed: dict[str, str] = {}
    choices: dict[str, list[str]] = {}
    intervals: dict[str, Interval] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            fixed[key] = f"{key}={override.get_value_element_as_str()}" if not key.startswith("~") else key
        elif override.is_discrete_sweep():
            choices[key] = list(override.sweep_string_iterator())
        else:
            intervals[key] = _interval(override)
    return Space(tuple(fixed.values()), choices, intervals)


def _interval(override: Override) -> Interval:
    sweep = override.value()
    assert isinstance(sweep, IntervalSweep)
    low, high = sweep.start, sweep.end
    assert low is not None and high is not None
    if not low < high or ("log" in sweep.tags and low <= 0):
        raise InstsegError(f"{override.input_line}: expected the lower end first, and for tag(log, …) one above 0")
    return Interval(low, high, "log" in sweep.tags)


def jobs_at_once(launcher: DictConfig) -> int:
    """How many jobs a launcher runs at the same time, as far as it says."""
    number = int(launcher.get("n_jobs") or launcher.get("array_parallelism") or 1)
    return number if number > 0 else max(1, (os.cpu_count() or 1) + 1 + number)
