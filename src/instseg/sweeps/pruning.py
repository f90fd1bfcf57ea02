"""Pruning: a training that is worse than the others at the same point ends, so that better ones get its time."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
from pytorch_lightning import Callback, LightningModule, Trainer

from instseg.sweeps.failures import Pruned
from instseg.sweeps.optuna_search import STUDY, hopeless_pruner, storage


class PruneHopeless(Callback):
    """Callback that reports the monitored metric after each validation, and ends the training where the study says so.

    Args:
        monitor: name of the metric.
        journal: path of the study's journal.
        trial: number of this job in the study.
        startup_trials: number of trials before which none is pruned.
        from_percent: percentage of the training before which none is pruned.
    """

    def __init__(self, monitor: str, journal: str, trial: int, startup_trials: int, from_percent: float) -> None:
        self.monitor, self.journal, self.number = monitor, journal, trial
        self.pruner = hopeless_pruner(startup_trials, from_percent)
        self._trial: optuna.Trial | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the metric.

        Args:
            trainer: with the metrics of this validation.
            pl_module: not used.

        Raises:
            Pruned: on every rank, where the study gives the trial up.
        """
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
        """Open the trial once, in the process that trains, which need not be the one that asked for it."""
        if self._trial is None:
            study = optuna.load_study(study_name=STUDY, storage=storage(Path(self.journal)), pruner=self.pruner)
            trial_id = study.trials[self.number]._trial_id
            self._trial = optuna.Trial(study, trial_id)
        return self._trial


def progress_percent(trainer: Trainer) -> int:
    """Return the percentage of the steps that are done: comparable between trials with different batch sizes."""
    total = float(trainer.estimated_stepping_batches)
    return min(100, round(100 * trainer.global_step / total)) if math.isfinite(total) and total else 0
