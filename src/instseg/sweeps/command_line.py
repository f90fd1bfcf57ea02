"""The overrides of a sweep, parsed by Hydra, in the terms of its strategies."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from instseg.core.errors import InstsegError
from instseg.core.overrides import key_of
from instseg.sweeps.records import Option, SweepInfo
from instseg.sweeps.strategies import GRID, build_strategy, plain_options
from instseg.sweeps.strategy import Interval, Space, Strategy
from instseg.sweeps.sweep_folder import SweepFolder

MAX_JOBS, MAX_AT_ONCE = 100_000, 10_000
"""What a command, typed or stored, may ask for; more is a slip, and would fill the memory before the first job."""
NOT_STORED = ("hydra.sweep.dir", "hydra.mode")
"""Hydra's settings that a resumed sweep sets anew."""


@dataclass(frozen=True)
class ChosenStrategy:
    """A strategy, and the way in which the file of its sweep names it."""

    strategy: Strategy
    name: str | None  # None: the user's own
    options: Mapping[str, Option]


def chosen_strategy(node: DictConfig | None) -> ChosenStrategy:
    """Build the strategy that the config chooses.

    Args:
        node: ``sweep`` of the config: the name of a strategy of this package under ``strategy``, with its options, or
            a ``_target_`` with the user's own. None: a grid.

    Raises:
        InstsegError: there is no such strategy, or an option has no such value.
    """
    content = OmegaConf.to_container(node, resolve=True) if node else {"strategy": GRID}
    if not isinstance(content, dict):
        raise InstsegError("sweep: expected the options of a strategy; choose one with sweep=grid, say")
    described = {str(key): value for key, value in content.items()}
    if "_target_" in described:
        return ChosenStrategy(_own_strategy(described), None, {})
    name = str(described.pop("strategy", None))
    strategy = build_strategy(name, described, "sweep")
    return ChosenStrategy(strategy, name, plain_options(strategy))


def _own_strategy(described: Mapping[str, object]) -> Strategy:
    try:
        strategy: object = instantiate(described, _convert_="all")
    except InstantiationException as error:
        raise InstsegError(f"sweep._target_={described['_target_']}: {error}") from error
    if not isinstance(strategy, Strategy):
        raise InstsegError(
            f"sweep._target_={described['_target_']}: expected an instseg.sweeps.strategy.Strategy, found "
            f"{type(strategy).__name__}"
        )
    return strategy


def command_of(folder: SweepFolder, config: DictConfig, given: Sequence[str]) -> list[str]:
    """Return the command that started the sweep: the first that was recorded, else that of this process.

    Args:
        folder: of the sweep.
        config: holds Hydra's own overrides.
        given: all other overrides.
    """
    if folder.info_file.is_file():
        return folder.read_info().command
    of_hydra = [str(override) for override in config.hydra.overrides.hydra]
    return ["-m", *given, *(override for override in of_hydra if key_of(override) not in NOT_STORED)]


def info_of(command: Sequence[str], chosen: ChosenStrategy, config: DictConfig) -> SweepInfo:
    """Describe a sweep for its file.

    Args:
        command: that started it.
        chosen: its strategy.
        config: holds the monitored metric.

    Raises:
        InstsegError: ``monitor.mode`` is neither max nor min.
    """
    if config.monitor.mode not in ("max", "min"):
        raise InstsegError(f"monitor.mode={config.monitor.mode}: expected max or min")
    return SweepInfo(
        command=list(command),
        strategy=chosen.name,
        options=dict(chosen.options),
        metric=str(config.monitor.metric),
        mode="max" if config.monitor.mode == "max" else "min",
    )


def space_of(overrides: Sequence[Override]) -> Space:
    """Sort overrides into those that all jobs share, lists of values, and intervals."""
    fixed: dict[str, str] = {}
    choices: dict[str, list[str]] = {}
    intervals: dict[str, Interval] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            fixed[key] = f"{key}={override.get_value_element_as_str()}" if not key.startswith("~") else key
        elif override.is_discrete_sweep():
            choices[key] = _listed(override)
        else:
            intervals[key] = _interval(override)
    num_jobs = math.prod(map(len, choices.values()))
    if num_jobs > MAX_JOBS:
        raise InstsegError(f"{', '.join(choices)}: {num_jobs:,} combinations; expected at most {MAX_JOBS:,}")
    return Space(tuple(fixed.values()), choices, intervals)


def _listed(override: Override) -> list[str]:
    """Return the values that are tried; counted before they are listed, for a range may have billions."""
    sweep = override.value()
    if isinstance(sweep, RangeSweep):
        _check_range(sweep, str(override.input_line))
    return list(override.sweep_string_iterator())


def _check_range(sweep: RangeSweep, line: str) -> None:
    start, stop = float(sweep.start or 0), float(sweep.stop or 0)
    if not sweep.step:
        raise InstsegError(f"{line}: expected a step other than 0")
    if (count := (stop - start) / sweep.step) > MAX_JOBS:
        raise InstsegError(f"{line}: {count:,.0f} values; expected at most {MAX_JOBS:,}")


def _interval(override: Override) -> Interval:
    sweep = override.value()
    if not isinstance(sweep, IntervalSweep) or sweep.start is None or sweep.end is None:
        raise InstsegError(f"{override.input_line}: expected a list of values or interval(low,high)")
    low, high = sweep.start, sweep.end
    if not low < high or ("log" in sweep.tags and low <= 0):
        raise InstsegError(f"{override.input_line}: expected the lower end first, and for tag(log, …) one above 0")
    return Interval(low, high, "log" in sweep.tags)


def jobs_at_once(launcher: DictConfig) -> int:
    """Return the number of jobs that a launcher runs at the same time, as far as it says.

    Raises:
        InstsegError: there are too many.
    """
    number = int(launcher.get("n_jobs") or launcher.get("array_parallelism") or 1)
    if number > MAX_AT_ONCE:
        raise InstsegError(f"hydra.launcher: {number:,} jobs at once; expected at most {MAX_AT_ONCE:,}")
    return number if number > 0 else max(1, (os.cpu_count() or 1) + 1 + number)
