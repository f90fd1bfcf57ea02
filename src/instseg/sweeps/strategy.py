"""The common base of all kinds of sweeps: from overrides to jobs, from records to sentences."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.sweeps.records import Job, JobRecord, SweepInfo

Setting = Callable[[str], object]
"""(dotted key) -> its value in a config; None where there is none."""


@dataclass(frozen=True)
class Interval:
    """Any number from low to high; whole ones where both are."""

    low: float
    high: float
    is_log: bool = False

    @property
    def is_whole(self) -> bool:
        """True where only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True)
class Space:
    """The overrides of a sweep: those that all jobs share, and those that are tried."""

    fixed: tuple[str, ...] = ()
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def combinations(self) -> Iterator[dict[str, str]]:
        """Return every choice with every other, the last given key changing fastest."""
        for values in itertools.product(*self.choices.values()):
            yield dict(zip(self.choices, values, strict=True))

    def check_no_intervals(self, sweep: str) -> None:
        """Raise InstsegError where a key has an interval, of which ``sweep`` could not try every value."""
        for key in self.intervals:
            raise InstsegError(
                f"{key}: {sweep} tries listed values, such as {key}=1,2,3; intervals are for sweep=optuna"
            )


@dataclass(frozen=True)
class Context:
    """The sweep, as far as its strategy may know it."""

    info: SweepInfo
    folder: Path
    setting: Callable[[Sequence[str]], Setting]
    """(overrides) -> a look into the config that they compose."""


class Strategy(ABC):
    """Choice of the jobs of a sweep, and a summary of what they mean together."""

    has_best_job = True
    """Tell whether its jobs can be ranked: not so where each is measured on other images."""
    axis = ""
    """Name of the strategy's own axis in tables, for which each job has a value; empty: it has none."""

    @abstractmethod
    def begin(self, space: Space, context: Context, records: Sequence[JobRecord], retry_failed: bool) -> list[str]:
        """Prepare to be asked for jobs.

        Args:
            space: the overrides of the sweep.
            context: the sweep itself.
            records: those of an earlier start.
            retry_failed: whether jobs that failed are to be run again.

        Returns:
            The swept keys.
        """

    @abstractmethod
    def ask(self, at_once: int) -> list[Job]:
        """Return the jobs to run next, ``at_once`` of them at the same time; none where the sweep is over."""

    def tell(self, record: JobRecord) -> None:
        """Record the end of a job that was asked for."""
        return

    def report(self, records: Sequence[JobRecord], info: SweepInfo, folder: Path) -> list[str]:
        """Summarise the finished jobs in sentences.

        Args:
            records: of all jobs.
            info: what was asked for.
            folder: of the sweep; pictures may be written into it.
        """
        return []


@dataclass(frozen=True)
class Point:
    """One step of a strategy's own axis: its label, and the overrides that it stands for."""

    label: str
    overrides: tuple[str, ...]


class FixedJobs(Strategy):
    """A list of jobs that is known from the start: the given values, each with all points of an axis of its own."""

    _jobs: list[Job]

    def points(self, space: Space, setting: Setting) -> list[Point]:
        """Return the steps of the own axis.

        Args:
            space: the overrides of the sweep.
            setting: a look into the config for which the steps are.
        """
        return [Point("", ())]

    def begin(self, space: Space, context: Context, records: Sequence[JobRecord], retry_failed: bool) -> list[str]:
        """List the jobs.

        Args:
            space: the overrides of the sweep.
            context: the sweep itself.
            records: those of an earlier start.
            retry_failed: whether jobs that failed are to be run again.
        """
        space.check_no_intervals("this sweep")
        self._jobs = []
        for values in space.combinations():
            given = (*space.fixed, *(f"{key}={value}" for key, value in values.items()))
            for point in self.points(space, context.setting(given)):
                own = {self.axis: point.label} if self.axis else {}
                self._jobs.append(Job(len(self._jobs), values | own, (*given, *point.overrides)))
        return [*space.choices, *([self.axis] if self.axis else [])]

    def ask(self, at_once: int) -> list[Job]:
        """Return all jobs at the first call."""
        jobs, self._jobs = self._jobs, []
        return jobs


class Grid(FixedJobs):
    """Every combination of the given values."""

    def begin(self, space: Space, context: Context, records: Sequence[JobRecord], retry_failed: bool) -> list[str]:
        """List the jobs.

        Args:
            space: the overrides of the sweep.
            context: the sweep itself.
            records: those of an earlier start.
            retry_failed: whether jobs that failed are to be run again.
        """
        if not space.choices and not space.intervals:
            raise InstsegError("a sweep needs values to try, such as optimizer.lr=1e-3,5e-3 model=r18fpn,r50fpn")
        return super().begin(space, context, records, retry_failed)
