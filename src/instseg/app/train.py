"""``stage=fit``: train, then measure the best checkpoint on the test split."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from instseg.app.build_loggers import log_settings
from instseg.app.build_training import training_module
from instseg.app.close_run import close_run, write_metrics
from instseg.app.config import RunConfig
from instseg.app.job import Job
from instseg.app.open_run import OpenRun, opened
from instseg.app.report import report
from instseg.checkpoints.content import describe, finite
from instseg.checkpoints.description import CheckpointDescription
from instseg.runs.folders import BEST, LAST, resume_command
from instseg.training.ending import ending_of
from instseg.training.module import InstanceSegmentationModule

log = logging.getLogger(__name__)


def fit_and_test(config: RunConfig, job: Job) -> Mapping[str, float]:
    """Train, from the start or resumed, and test the best checkpoint.

    Args:
        config: of the run.
        job: of this process.

    Returns:
        All metrics of val and test, by their logged names.
    """
    with opened(config, job) as run:
        resumed = run.resumed.description if run.resumed else None
        module = training_module(config, run.data, resumed, run.trainer.is_global_zero)
        try:
            metrics = _fit(run, module)
            ending = ending_of(run.trainer)
            best = _best(run)
            metrics |= _test(run, module, best)
        except (SystemExit, KeyboardInterrupt):
            _explain_interruption(run)
            raise
        write_metrics(config, metrics)
        points = best.operating_points if best else None
        report(config, run.trainer, run.data, points)
        close_run(config, run.data, metrics, points, str(ending))
    return metrics


def _fit(run: OpenRun, module: InstanceSegmentationModule) -> dict[str, float]:
    start = run.resumed.path if run.resumed else None
    log_settings(run.trainer, run.config)
    run.trainer.fit(module, datamodule=run.data, ckpt_path=start, weights_only=True)
    return finite(run.trainer.callback_metrics)


def _best(run: OpenRun) -> CheckpointDescription | None:
    """Return what best.ckpt says about itself; None where no validation ran."""
    path = _best_path(run)
    return describe(path) if run.trainer.strategy.broadcast(path.is_file()) else None


def _best_path(run: OpenRun) -> Path:
    return run.config.folder / "checkpoints" / BEST


def _test(run: OpenRun, module: InstanceSegmentationModule, best: CheckpointDescription | None) -> dict[str, float]:
    """Test the best weights; with their own validation's metrics, the last ones where no validation ran."""
    metrics: dict[str, float] = {}
    if best is not None:
        metrics |= best.metrics | (best.operating_points.flat() if best.operating_points else {})
    elif run.trainer.is_global_zero:
        log.warning("There is no best.ckpt, because no validation ran: the last weights are tested.")
    tested = _best_path(run) if best else None
    run.trainer.test(module, datamodule=run.data, ckpt_path=tested, weights_only=True, verbose=False)
    return metrics | finite(run.trainer.callback_metrics)


def _explain_interruption(run: OpenRun) -> None:
    if not run.trainer.is_global_zero:
        return
    last = run.config.folder / "checkpoints" / LAST
    if last.is_file():
        log.info("%s", ending_of(run.trainer, "Interrupted after"))
        log.info("Everything up to here is in %s", last)
        log.info("Resume with: %s", resume_command(run.config.folder))
    else:
        log.info("Interrupted before the first checkpoint was written.")
