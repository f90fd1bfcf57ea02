"""The report of a run: from what its test has found to ``report.html``."""

from __future__ import annotations

import logging

import numpy as np
from pytorch_lightning import Trainer
from pytorch_lightning.utilities import rank_zero_only

from instseg.analysis.advice import Situation
from instseg.analysis.page.render import write_page
from instseg.analysis.report import Heading, build_report
from instseg.analysis.subject import ImageFile, Subject
from instseg.app.audit_settings import resize_of
from instseg.app.config import RunConfig
from instseg.checkpoints.operating_points import OperatingPoints
from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.data.datamodule import InstanceDataModule
from instseg.data.index.columns import Index
from instseg.evaluation.evaluated import EvaluatedImages
from instseg.prediction.thresholds import AUTO, choose_thresholds
from instseg.training.evaluated_images import EvaluatedImagesKeeper
from instseg.training.trainer_parts import callbacks_of

REPORT = "report.html"
MAX_CATEGORIES = 2000
"""The confusion of more takes gigabytes."""

NO_TEST = (
    "The data set has no test images. These have chosen the checkpoint and the thresholds, so the numbers are a little "
    "better than on others."
)

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
        _write(config, data, keeper, points)
    except (InstsegError, OSError) as error:  # the training is done, and measured
        if config.stage == "report":
            raise
        log.warning("no report: %s", error)


def _write(
    config: RunConfig, data: InstanceDataModule, keeper: EvaluatedImagesKeeper, points: OperatingPoints | None
) -> None:
    images = EvaluatedImages.of(keeper.pairs, data.categories)
    index = data.prepared.indices["test"]
    thresholds = choose_thresholds(AUTO, data.categories, points)
    subject = Subject(images, lambda image_id: _file(index, image_id), thresholds.of_labels().astype(np.float64))
    folder, sizes = config.folder, resize_of(config)
    situation = Situation(*sizes, data.prepared.indices["train"].instances_per_category())
    is_one = isinstance(thresholds.plain(), float)
    chosen = f"score threshold {thresholds}" if is_one else f"score thresholds: {thresholds.origin}"
    is_val = data.prepared.indices["test"] is data.prepared.indices["val"]
    kind = "validation image" if is_val else "test image"
    notes = [NO_TEST] if is_val else []
    heading = Heading(f"{folder.parent.name} · {folder.name}", f"{plural(len(images), kind)} · {chosen}", notes)
    write_page(build_report(subject, heading, situation), folder / REPORT)


def _file(index: Index, image_id: int) -> ImageFile:
    position = index.index_of(image_id)
    return ImageFile(index.file_name(position), index.path(position), index.rotate(position))
