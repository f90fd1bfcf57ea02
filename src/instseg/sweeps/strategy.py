"""What the kinds of sweeps have in common: from typed values to jobs, from records to sentences."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instseg.core.errors import InstsegError
from instseg.sweeps.records import Job, JobRecord, SweepInfo


@dataclass(frozen=True)
class Interval:
    """Any number from low to high; whole ones where both are."""

    low: float
    high: float
    is_log: bool = False

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True)
class Space:
    """The command line of a sweep: what is the same for all jobs, and what is tried."""

    fixed: tuple[str, ...] = ()
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def combinations(self) -> Iterator[dict[str, str]]:
        """Every choice with every other, the last one typed changing fastest."""
        for values in itertools.product(*self.choices.values()):
            yield dict(zip(self.choices, values, strict=True))

    def check_no_intervals(self, sweep: str) -> None:
        for key in self.intervals:
            raise InstsegError(
                f"{key}: {sweep} tries listed values, such as {key}=1,2,3; intervals are for sweep=optuna"
            )


@dataclass(frozen=True)
class Context:
    """What a strategy may know of the sweep it works for."""

    info: SweepInfo
    folder: Path
    setting: Callable[[Sequence[str]], Callable[[str], Any]]
    """(overrides) -> (dotted key) -> its value in the config that they compose; None where there is none."""


class Strategy(ABC):
    """Chooses the jobs of a sweep, and says what they mean together."""

    has_best_job = True
    """Whether its jobs can be ranked: not so where each is measured on other images."""

    @abstractmethod
    def begin(self, space: Space, context: Context, records: Sequence[JobRecord], retry_failed: bool) -> list[str]:
        """Get ready, or ready again: ``records`` are those of an earlier start. Returns the keys that are swept."""

    @abstractmethod
    def ask(self, at_once: int) -> list[Job]:
        """Jobs to run next, ``at_once`` of them at the same time; none: the sweep is over."""

    def tell(self, record: JobRecord) -> None:
        """A job that was asked for has come to an end."""
        return

    def report(self, records: Sequence[JobRecord], info: SweepInfo, folder: Path) -> list[str]:
        """What the finished jobs say together, in sentences; may write pictures into ``folder``."""
        return []


@dataclass(frozen=True)
class Point:
    """One step of a strategy's own axis: how it is called, and what it sets."""

    label: str
    overrides: tuple[str, ...]


class FixedJobs(Strategy):
    """A list of jobs that is known from the start: the typed values, each with all points of an axis of its own."""

    axis = ""
    """How the values of ``points`` are called in tables."""
    _jobs: list[Job]

    def points(self, space: Space, setting: Callable[[str], Any]) -> list[Point]:
        """The steps of the own axis, in a config with these settings."""
        return [Point("", ())]

    def begin(self, space: Space, context: Context, records: Sequence[JobRecord], retry_failed: bool) -> list[str]:
        space.check_no_intervals("this sweep")
        self._jobs = []
        for values in space.combinations():
            typed = (*space.fixed, *(f"{key}={value}" for key, value in values.items()))
            for point in self.points(space, context.setting(typed)):
                own = {self.axis: point.label} if self.axis else {}
                self._jobs.append(Job(len(self._jobs), values | own, (*typed, *point.overrides)))
        return [*space.choices, *([self.axis] if self.axis else [])]

    def ask(self, at_once: int) -> list[Job]:
        jobs, self._jobs = self._jobs, []
        return jobs


class Grid(FixedJobs):
    """Every combination of the typed values."""

    def begin(self, space: Space, context: Context, records: Sequence[JobRecord], retry_failed: bool) -> list[str]:
        if not space.choices and not space.intervals:
            raise InstsegError("a sweep needs values to try, such as optimizer.lr=1e-3,5e-3 model=r18fpn,r50fpn")
        return super().begin(space, context, records, retry_failed)
