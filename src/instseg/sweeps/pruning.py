"""A training that is worse than the others at the same point gives up, so that the time goes to better ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import optuna
from pytorch_lightning import Callback, LightningModule, Trainer

from instseg.sweeps.failures import Pruned
from instseg.sweeps.optuna_search import STUDY, hopeless_pruner, storage


class PruneHopeless(Callback):
    """After each validation tells the study the monitored metric, and ends the training where the study says so.

    Args:
        monitor: name of the metric.
        journal: the study's file.
        trial: number of this job in the study.
        startup_trials, from_percent: see ``optuna_search.OptunaSearch``.
    """

    def __init__(self, monitor: str, journal: str, trial: int, startup_trials: int, from_percent: float) -> None:
        self.monitor, self.journal, self.number = monitor, journal, trial
        self.pruner = hopeless_pruner(startup_trials, from_percent)
        self._trial: optuna.Trial | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Raises Pruned, on every rank."""
        value = trainer.callback_metrics.get(self.monitor)
        if trainer.sanity_checking or value is None or not math.isfinite(float(value)):
            return
        percent = progress_percent(trainer)
        is_hopeless = self._is_hopeless(float(value), percent) if trainer.is_global_zero else False
        if trainer.strategy.broadcast(is_hopeless) and percent < 100:
            raise Pruned(
                f"given up after {percent} % of the training: {self.monitor} {float(value):.3f}, and three "
                "quarters of the trials that were trained to the end were better there",
                float(value),
            )

    def _is_hopeless(self, value: float, percent: int) -> bool:
        trial = self._open_trial()
        trial.report(value, percent)
        return bool(trial.should_prune())

    def _open_trial(self) -> optuna.Trial:
        """Opened once, in the process that trains, which need not be the one that has asked for the trial."""
        if self._trial is None:
            study = optuna.load_study(study_name=STUDY, storage=storage(Path(self.journal)), pruner=self.pruner)
            trial_id = study.trials[self.number]._trial_id
            self._trial = optuna.Trial(study, trial_id)
        return self._trial


def progress_percent(trainer: Trainer) -> int:
    """Of the steps of the whole training: comparable between trials with batches of different sizes."""
    total: Any = trainer.estimated_stepping_batches
    return min(100, round(100 * trainer.global_step / total)) if math.isfinite(total) and total else 0
