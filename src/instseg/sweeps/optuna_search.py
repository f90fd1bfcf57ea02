"""A search that learns from what it has tried: Optuna's TPE, with its journal in the sweep's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, PercentilePruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from instseg.core.errors import InstsegError
from instseg.sweeps.failures import BAD_VALUES
from instseg.sweeps.records import DONE, FAILED, PRUNED, RETRIED, Job, JobRecord, SweepFolder
from instseg.sweeps.strategy import Context, Interval, Space, Strategy

STUDY, JOURNAL = "sweep", "optuna_journal.log"
LR, LR_FACTOR = "optimizer.lr", 10.0
"""What is searched where nothing is typed: the learning rate, up to so many times less and more."""

KEPT_PERCENT = 75.0
"""A trial is hopeless where this share of those that were trained to the end were better at the same point. Their
median would be too strict: AP early in a training says little, and most of what is tried after the random start would
be given up before it had a chance."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


class OptunaSearch(Strategy):
    """Trial ``i`` of the study is job ``i`` of the sweep.

    Args:
        num_trials: how many jobs.
        startup_trials: so many are drawn at random, and none is given up before so many are done.
        prune: give a trial up when three quarters of those that were trained to the end were better at the same point …
        prune_from_percent: … of the training, which is not asked before this share of it.
        max_at_once: so many trials run together where a launcher could run more: each learns from those before it.
        seed: of the sampler.
    """

    def __init__(
        self,
        num_trials: int = 20,
        startup_trials: int = 5,
        prune: bool = True,
        prune_from_percent: float = 20,
        max_at_once: int = 4,
        seed: int = 0,
    ) -> None:
        if num_trials < 1 or startup_trials < 1:
            raise InstsegError(
                f"sweep.num_trials={num_trials}, sweep.startup_trials={startup_trials}: expected 1 or more"
            )
        self.num_trials, self.startup_trials, self.seed = num_trials, startup_trials, seed
        self.prune, self.prune_from_percent, self.max_at_once = prune, prune_from_percent, max_at_once

    def begin(self, space: Space, context: Context, records: Sequence[JobRecord], retry_failed: bool) -> list[str]:
        self.fixed, self.journal, self.metric = space.fixed, context.folder / JOURNAL, context.info.metric
        self.distributions = _distributions(space, context)
        self.study = optuna.create_study(
            storage=storage(self.journal),
            study_name=STUDY,
            direction="maximize" if context.info.mode == "max" else "minimize",
            sampler=TPESampler(n_startup_trials=self.startup_trials, seed=self.seed + len(records), constant_liar=True),
            load_if_exists=True,
        )
        self.replaced = {record.number for record in records if record.state == RETRIED}
        if retry_failed:
            self._enqueue_failed(records, SweepFolder(context.folder))
        by_number = {record.number: record for record in records}
        self._unfinished = []
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            record = by_number.get(trial.number)
            if record is not None and record.state in (DONE, FAILED, PRUNED):  # the sweep was killed before it was told
                self.tell(record)
            else:
                self._unfinished.append(trial)
        return list(self.distributions)

    def ask(self, at_once: int) -> list[Job]:
        at_once = min(at_once, self.max_at_once)
        jobs = [self._job(trial) for trial in self._unfinished[:at_once]]
        self._unfinished = self._unfinished[at_once:]
        for _ in range(min(at_once - len(jobs), self._num_missing())):
            trial = self.study.ask(self.distributions)
            jobs.append(self._job(self.study.trials[trial.number]))
        return jobs

    def _num_missing(self) -> int:
        """Trials still to begin. Those that wait to be tried again are run in any case, whoever has asked for them."""
        trials = self.study.get_trials(deepcopy=False)
        num_waiting = sum(trial.state == TrialState.WAITING for trial in trials)
        return max(num_waiting, self.num_trials - (len(trials) - num_waiting - len(self.replaced)))

    def tell(self, record: JobRecord) -> None:
        """Values that diverge, or need too much memory, count as bad ones; other failures do not count."""
        if record.state == DONE and record.metric is not None:
            self.study.tell(record.number, record.metric, skip_if_finished=True)
            return
        is_bad = record.state == PRUNED or (record.state == FAILED and record.kind in BAD_VALUES)
        state = TrialState.PRUNED if is_bad else TrialState.FAIL
        self.study.tell(record.number, state=state, skip_if_finished=True)

    def _enqueue_failed(self, records: Sequence[JobRecord], folder: SweepFolder) -> None:
        """Their values are tried again, under new numbers."""
        for record in records:
            if record.state == FAILED:
                self.study.enqueue_trial(self.study.trials[record.number].params)
                folder.write(record, state=RETRIED)
                self.replaced.add(record.number)

    def _job(self, trial: FrozenTrial) -> Job:
        values = {key: _text(value) for key, value in trial.params.items()}
        typed = (*self.fixed, *(f"{key}={value}" for key, value in values.items()))
        return Job(trial.number, values, (*typed, *(self._pruning(trial) if self.prune else ())))

    def _pruning(self, trial: FrozenTrial) -> list[str]:
        """The callback that reports to the study while training, as overrides of the job's config."""
        options = {
            "_target_": "instseg.sweeps.pruning.PruneHopeless",
            "monitor": f'"{self.metric}"',
            "journal": f'"{self.journal}"',
            "trial": trial.number,
            "startup_trials": self.startup_trials,
            "from_percent": self.prune_from_percent,
        }
        return [f"+callbacks.pruning.{key}={value}" for key, value in options.items()]


def storage(journal: Path) -> JournalStorage:
    """A file that several processes append to, also on a network disk; what is half-written is not read."""
    return JournalStorage(JournalFileBackend(str(journal)))


def hopeless_pruner(startup_trials: int, from_percent: float) -> BasePruner:
    return PercentilePruner(KEPT_PERCENT, startup_trials, n_warmup_steps=int(from_percent), n_min_trials=2)


def _distributions(space: Space, context: Context) -> dict[str, BaseDistribution]:
    found: dict[str, BaseDistribution] = {key: CategoricalDistribution(list(v)) for key, v in space.choices.items()}
    found |= {key: _distribution(interval) for key, interval in space.intervals.items()}
    if not found:
        lr = context.setting(space.fixed)(LR)
        if not lr:
            raise InstsegError(f"sweep=optuna needs values to search, such as '{LR}=tag(log,interval(1e-4,1e-2))'")
        found[LR] = FloatDistribution(lr / LR_FACTOR, lr * LR_FACTOR, log=True)
    return found


def _distribution(interval: Interval) -> BaseDistribution:
    if interval.is_whole:
        return IntDistribution(int(interval.low), int(interval.high), log=interval.is_log)
    return FloatDistribution(interval.low, interval.high, log=interval.is_log)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
