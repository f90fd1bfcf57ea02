"""The records of a sweep: what was asked for, and what became of each job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, field
from msgspec.structs import replace

from instseg.core.records import Record
from instseg.sweeps.failures import Kind

State = Literal["waiting", "running", "interrupted", "done", "failed", "pruned", "retried"]
WAITING: Literal["waiting"] = "waiting"
RUNNING: Literal["running"] = "running"
INTERRUPTED: Literal["interrupted"] = "interrupted"
DONE: Literal["done"] = "done"
FAILED: Literal["failed"] = "failed"
PRUNED: Literal["pruned"] = "pruned"
RETRIED: Literal["retried"] = "retried"
FINISHED: tuple[State, ...] = (DONE, FAILED, PRUNED, RETRIED)
"""States in which a job is not run again; ``retried``: another job has taken its place."""

Option = bool | int | float | str | list[float] | None
"""A value that an option of a strategy may have."""


@dataclass(frozen=True)
class Job:
    """One training of a sweep."""

    number: int  # from 0
    values: Mapping[str, str]  # in which it differs from the others: key -> value, as given
    overrides: tuple[str, ...]  # from what the user gave and the strategy chose
    added: tuple[str, ...] = ()  # by the sweep itself, and not recorded: the callback that prunes, say

    @property
    def composed(self) -> tuple[str, ...]:
        """All overrides that compose its config."""
        return (*self.overrides, *self.added)


@dataclass(frozen=True)
class Outcome:
    """The way in which one attempt at a job ended."""

    state: State
    metric: float | None = None
    kind: Kind | None = None
    reason: str | None = None
    is_orderly: bool = True  # False: its process died


class JobRecord(Record, frozen=True, kw_only=True):
    """The state of a job, read back when the sweep is resumed or shown."""

    number: int
    values: dict[str, str]
    overrides: list[str]  # for people: a resumed sweep composes them anew
    state: State = WAITING
    metric: float | None = None  # the monitored one; of a pruned job the last
    run_dir: str | None = None
    kind: Kind | None = None  # of failure
    reason: str | None = None  # why it failed, or was pruned
    started: Annotated[datetime, Meta(tz=True)] | None = None
    seconds: float = 0.0  # of all attempts that came to an end
    attempts: int = 0  # since the last one that ended in order

    @property
    def is_measured(self) -> bool:
        """Tell whether the job is done and has a metric."""
        return self.state == DONE and self.metric is not None

    @classmethod
    def of(cls, job: Job) -> JobRecord:
        """Return the record of a job that has not begun."""
        return cls(number=job.number, values=dict(job.values), overrides=list(job.overrides))

    def begun(self, run_dir: str) -> JobRecord:
        """Return the record with one more attempt, under way in a run folder."""
        now = datetime.now(UTC).replace(microsecond=0)
        started, attempts = self.started or now, self.attempts + 1
        return replace(self, state=RUNNING, run_dir=run_dir, started=started, attempts=attempts)

    def ended(self, outcome: Outcome, seconds: float = 0.0) -> JobRecord:
        """Return the record after an attempt.

        Args:
            outcome: how it ended.
            seconds: how long it took.
        """
        forgiven = outcome.state == INTERRUPTED and outcome.is_orderly
        return replace(
            self,
            state=outcome.state,
            metric=outcome.metric,
            kind=outcome.kind,
            reason=outcome.reason,
            seconds=round(self.seconds + seconds, 1),
            attempts=0 if forgiven else self.attempts,
        )


class SweepInfo(Record, frozen=True, kw_only=True):
    """The request: its command, its strategy, and the metric by which jobs are ranked."""

    VERSION = 2  # of version 1 the strategy named code
    READABLE = ()

    command: list[str]  # its overrides, and -m
    strategy: str | None  # a name in ``strategies.STRATEGIES``; None: the user's own, from a config of theirs
    options: dict[str, Option]  # of the named strategy
    metric: str  # such as val/segm_map …
    mode: Literal["max", "min"]  # … and the direction in which it is better
    values: list[str] = field(default_factory=list)  # the swept keys

    def better(self, one: float, other: float) -> bool:
        """Tell whether a value of the metric is better than another.

        Args:
            one: a value.
            other: the value to compare it with.
        """
        return one > other if self.mode == "max" else one < other
