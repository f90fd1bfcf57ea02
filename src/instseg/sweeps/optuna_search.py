"""A search that learns from its trials: Optuna's TPE, with its journal in the folder of the sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, PercentilePruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from instseg.core.errors import InstsegError
from instseg.core.overrides import quoted
from instseg.core.records import RecordError
from instseg.sweeps.failures import BAD_VALUES
from instseg.sweeps.records import DONE, FAILED, PRUNED, RETRIED, Job, JobRecord, Outcome
from instseg.sweeps.strategy import Context, Interval, Space, Strategy
from instseg.sweeps.sweep_folder import SweepFolder

STUDY, JOURNAL = "sweep", "optuna_journal.log"
REMEDY = "this search cannot be resumed; start it again in a new folder"
LR, LR_FACTOR = "optimizer.lr", 10.0
"""The key that is searched where none is given: the learning rate, up to this many times less and more."""

KEPT_PERCENT = 75.0
"""A trial is pruned where this percentage of the trials that were trained to the end were better at the same point.
Their median would be too strict: AP early in a training says little, and most trials after the random start would be
pruned before they had a chance."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(eq=False)
class OptunaSearch(Strategy):
    """A search that learns from its trials. Trial ``i`` of the study is job ``i`` of the sweep.

    Args:
        num_trials: number of jobs.
        startup_trials: number of trials that are drawn at random; none is pruned before that many are done.
        prune: prune a trial where three quarters of those that were trained to the end were better at the same point.
        prune_from_percent: percentage of the training before which no trial is pruned.
        max_at_once: number of trials that run together where a launcher could run more: each learns from those before.
        seed: of the sampler.

    Raises:
        InstsegError: a number is below 1.
    """

    num_trials: int = 20
    startup_trials: int = 5
    prune: bool = True
    prune_from_percent: float = 20
    max_at_once: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("num_trials", "startup_trials", "max_at_once"):
            if getattr(self, name) < 1:
                raise InstsegError(f"sweep.{name}={getattr(self, name)}: expected 1 or more")

    def begin(self, space: Space, context: Context, records: Sequence[JobRecord], retry_failed: bool) -> list[str]:
        """Open the study, and tell it what happened since it was closed.

        Args:
            space: the overrides of the sweep.
            context: the sweep itself.
            records: those of an earlier start.
            retry_failed: whether jobs that failed are to be run again.
        """
        self.fixed, self.journal, self.metric = space.fixed, context.folder / JOURNAL, context.info.metric
        self.distributions = _distributions(space, context)
        sampler = TPESampler(n_startup_trials=self.startup_trials, seed=self.seed + len(records), constant_liar=True)
        self.replaced = {record.number for record in records if record.state == RETRIED}
        with _journal_errors(self.journal):
            self.study = _open_study(self.journal, context.info.mode, sampler)
            for trial in self.study.get_trials(deepcopy=False):
                self._check(trial)
            if retry_failed:
                self._enqueue_failed(records, SweepFolder(context.folder))
            self._unfinished = list(self._resume_trials(records))
        return list(self.distributions)

    def _resume_trials(self, records: Sequence[JobRecord]) -> Iterator[FrozenTrial]:
        """Return the trials that are still to be trained, after telling the study what it missed when it was killed."""
        by_number = {record.number: record for record in records}
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            record = by_number.get(trial.number)
            if record is not None and record.state in (DONE, FAILED, PRUNED):
                self.tell(record)
            elif trial.params.keys() == self.distributions.keys():
                yield trial
            else:  # killed while its values were drawn
                self.study.tell(trial.number, state=TrialState.FAIL)
                self.replaced.add(trial.number)

    def ask(self, at_once: int) -> list[Job]:
        """Return unfinished trials first, then new ones."""
        at_once = min(at_once, self.max_at_once)
        jobs = [self._job(trial) for trial in self._unfinished[:at_once]]
        self._unfinished = self._unfinished[at_once:]
        for _ in range(min(at_once - len(jobs), self._num_missing())):
            with _journal_errors(self.journal):
                trial = self.study.ask(self.distributions)
                jobs.append(self._job(self.study.trials[trial.number]))
        return jobs

    def _num_missing(self) -> int:
        """Count the trials still to begin; those that wait to be tried again are run in any case."""
        trials = self.study.get_trials(deepcopy=False)
        num_waiting = sum(trial.state == TrialState.WAITING for trial in trials)
        return max(num_waiting, self.num_trials - (len(trials) - num_waiting - len(self.replaced)))

    def tell(self, record: JobRecord) -> None:
        """Tell the study. Values that diverge, or need too much memory, count as bad; other failures do not count."""
        if record.state == DONE and record.metric is not None:
            self.study.tell(record.number, record.metric, skip_if_finished=True)
            return
        is_bad = record.state == PRUNED or (record.state == FAILED and record.kind in BAD_VALUES)
        state = TrialState.PRUNED if is_bad else TrialState.FAIL
        self.study.tell(record.number, state=state, skip_if_finished=True)

    def _enqueue_failed(self, records: Sequence[JobRecord], folder: SweepFolder) -> None:
        """Try the values of failed jobs again, under new numbers."""
        trials = self.study.get_trials(deepcopy=False)
        for record in records:
            if record.state == FAILED:
                if record.number >= len(trials):
                    raise RecordError(
                        f"{self.journal}: expected the trial of job {record.number}, found none; {REMEDY}"
                    )
                self.study.enqueue_trial(trials[record.number].params)
                folder.write(record.ended(Outcome(RETRIED, record.metric, record.kind, record.reason)))
                self.replaced.add(record.number)

    def _job(self, trial: FrozenTrial) -> Job:
        self._check(trial)
        values = {key: _text(value) for key, value in trial.params.items()}
        given = (*self.fixed, *(f"{key}={value}" for key, value in values.items()))
        return Job(trial.number, values, given, tuple(self._pruning(trial)) if self.prune else ())

    def _check(self, trial: FrozenTrial) -> None:
        """Refuse a trial of the journal with keys or values that are not searched: they would become overrides."""
        for key, value in trial.params.items():
            if key not in self.distributions or not _is_within(value, self.distributions[key]):
                raise RecordError(f"{self.journal}: trial {trial.number}: {key}={value!r} is not searched; {REMEDY}")

    def _pruning(self, trial: FrozenTrial) -> list[str]:
        """Return the callback that reports to the study while training, as overrides of the job's config."""
        options: dict[str, object] = {
            "_target_": "instseg.sweeps.pruning.PruneHopeless",
            "trial": trial.number,
            "startup_trials": self.startup_trials,
            "from_percent": self.prune_from_percent,
        }
        texts = {"monitor": self.metric, "journal": self.journal}
        return [
            *(f"+callbacks.pruning.{key}={value}" for key, value in options.items()),
            *(quoted(f"+callbacks.pruning.{key}", value) for key, value in texts.items()),
        ]


def storage(journal: Path) -> JournalStorage:
    """Open the journal: several processes may append to it, also on a network disk, and half a line is not read."""
    return JournalStorage(JournalFileBackend(str(journal)))


def _open_study(journal: Path, mode: Literal["max", "min"], sampler: TPESampler) -> optuna.Study:
    direction = StudyDirection.MAXIMIZE if mode == "max" else StudyDirection.MINIMIZE
    return optuna.create_study(
        storage=storage(journal), study_name=STUDY, direction=direction, sampler=sampler, load_if_exists=True
    )


@contextmanager
def _journal_errors(journal: Path) -> Iterator[None]:
    """Turn the error that a damaged journal causes, which may be of any kind, into one that names the file."""
    try:
        yield
    except (InstsegError, OSError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise RecordError(f"{journal}: expected the journal of a study, found damage ({reason}); {REMEDY}") from error


def hopeless_pruner(startup_trials: int, from_percent: float) -> BasePruner:
    """Build the pruner of the search.

    Args:
        startup_trials: number of trials before which none is pruned.
        from_percent: percentage of the training before which none is pruned.
    """
    return PercentilePruner(KEPT_PERCENT, startup_trials, n_warmup_steps=int(from_percent), n_min_trials=2)


def _distributions(space: Space, context: Context) -> dict[str, BaseDistribution]:
    found: dict[str, BaseDistribution] = {key: CategoricalDistribution(list(v)) for key, v in space.choices.items()}
    found |= {key: _distribution(interval) for key, interval in space.intervals.items()}
    if not found:
        lr = context.setting(space.fixed)(LR)
        if not isinstance(lr, int | float) or lr <= 0:
            raise InstsegError(f"sweep=optuna needs values to search, such as '{LR}=tag(log,interval(1e-4,1e-2))'")
        found[LR] = FloatDistribution(lr / LR_FACTOR, lr * LR_FACTOR, log=True)
    return found


def _distribution(interval: Interval) -> BaseDistribution:
    if interval.is_whole:
        return IntDistribution(int(interval.low), int(interval.high), log=interval.is_log)
    return FloatDistribution(interval.low, interval.high, log=interval.is_log)


def _is_within(value: object, searched: BaseDistribution) -> bool:
    if isinstance(searched, CategoricalDistribution):
        return isinstance(value, str) and value in searched.choices
    if isinstance(searched, IntDistribution) and not isinstance(value, int):
        return False
    if not isinstance(searched, IntDistribution | FloatDistribution) or isinstance(value, bool):
        return False
    return isinstance(value, int | float) and searched.low <= value <= searched.high


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
