"""``stage=validate``, ``stage=test`` and ``stage=report``: measure a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

from instseg.app.build_model import build_trained_model
from instseg.app.build_module import build_module
from instseg.app.close_run import close_run, write_metrics
from instseg.app.config import RunConfig
from instseg.app.job import Job
from instseg.app.open_run import opened
from instseg.app.report import report
from instseg.checkpoints.content import finite


def evaluate(config: RunConfig, job: Job) -> Mapping[str, float]:
    """Measure a checkpoint on the val or the test split.

    Args:
        config: of the run.
        job: of this process.

    Returns:
        All metrics, by their logged names.

    Raises:
        InstsegError: the checkpoint has other categories than the data set.
    """
    with opened(config, job) as run:
        trained = build_trained_model(config, job)
        trained.categories.check_same(run.data.categories, "checkpoint", "dataset")
        run.data.prepared.check_range(trained.value_range)
        module = build_module(config, trained.model)
        measure = run.trainer.validate if config.stage == "validate" else run.trainer.test
        measure(module, datamodule=run.data, verbose=False)
        metrics = finite(run.trainer.callback_metrics)
        write_metrics(config, metrics)
        report(config, run.trainer, run.data, trained.operating_points)
        close_run(config, run.data, metrics, trained.operating_points)
    return metrics
