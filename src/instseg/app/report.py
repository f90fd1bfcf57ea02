"""The report of a run: from what its test has found to ``report.html``."""

from __future__ import annotations

import logging

from pytorch_lightning import Trainer
from pytorch_lightning.utilities import rank_zero_only

from instseg.app.config import RunConfig
from instseg.app.write_report import write_report
from instseg.checkpoints.operating_points import OperatingPoints
from instseg.core.errors import InstsegError
from instseg.data.datamodule import InstanceDataModule
from instseg.training.evaluated_images import EvaluatedImagesKeeper
from instseg.training.trainer_parts import callbacks_of

MAX_CATEGORIES = 2000
"""The confusion of more takes gigabytes."""

log = logging.getLogger(__name__)


@rank_zero_only
def report(config: RunConfig, trainer: Trainer, data: InstanceDataModule, points: OperatingPoints | None) -> None:
    """Write the report on what a test has found, where its trainer has kept that.

    Args:
        config: of the run.
        trainer: that has tested.
        data: that it tested on.
        points: operating points of the checkpoint that was tested.
    """
    keeper = next((one for one in callbacks_of(trainer) if isinstance(one, EvaluatedImagesKeeper)), None)
    if keeper is None or not keeper.pairs:
        return
    if len(data.categories) > MAX_CATEGORIES:
        log.warning("no report: it is for up to %d categories, here are %d", MAX_CATEGORIES, len(data.categories))
        return
    try:
        write_report(config, data.prepared, keeper.pairs, points)
    except (InstsegError, OSError) as error:  # the training is done, and measured
        if config.stage == "report":
            raise
        log.warning("no report: %s", error)
