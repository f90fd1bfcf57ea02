"""The report of a run as files in its folder: the page, and the masks with which it can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from instseg.analysis.advice import Situation
from instseg.analysis.measured import measure
from instseg.analysis.page.render import write_page
from instseg.analysis.report import Heading, build_report
from instseg.analysis.subject import ImageFile, Subject
from instseg.app.audit_settings import resize_of
from instseg.app.config import RunConfig
from instseg.app.keep_masks import keep_masks
from instseg.app.linked_pages import AUDIT, REPORT, link_back, links_to
from instseg.checkpoints.operating_points import OperatingPoints, recalibrated_by
from instseg.core.text import plural
from instseg.core.types import GroundTruth, Prediction
from instseg.data.prepared import PreparedDataset
from instseg.evaluation.evaluated import EvaluatedImages
from instseg.prediction.thresholds import AUTO, choose_thresholds

NO_TEST = (
    "The data set has no test images. These have chosen the checkpoint and the thresholds, so the numbers are a little "
    "better than on others."
)


def write_report(
    config: RunConfig,
    prepared: PreparedDataset,
    pairs: Sequence[tuple[Prediction, GroundTruth]],
    points: OperatingPoints | None,
) -> None:
    """Write the report on what a test has found.

    Args:
        config: of the run.
        prepared: the data set.
        pairs: what was found beside what is there, of each image.
        points: operating points of the checkpoint that was tested.

    Raises:
        InstsegError: an image or a file cannot be used.
    """
    raw, index = EvaluatedImages.of(pairs, prepared.categories), prepared.indices["test"]
    images = replace(raw, predictions=recalibrated_by(points, raw.predictions))
    thresholds = choose_thresholds(AUTO, prepared.categories, points)

    before = [one.scores for one in raw.predictions] if points and points.recalibration else None
    subject = Subject(images, partial(ImageFile.of, index), thresholds.of_labels().astype(np.float64), before)
    folder, situation = config.folder, Situation(*resize_of(config), prepared.indices["train"].instances_per_category())
    is_one = isinstance(thresholds.plain(), float)
    chosen = f"score threshold {thresholds}" if is_one else f"score thresholds: {thresholds.origin}"
    is_val = index is prepared.indices["val"]
    kind = "validation image" if is_val else "test image"
    heading = Heading(
        f"{folder.parent.name} · {folder.name}",
        f"{plural(len(images), kind)} · {chosen}",
        [NO_TEST] if is_val else [],
        links_to(AUDIT, config.outputs, prepared.fingerprint, folder),
    )
    measured = measure(subject)
    write_page(build_report(subject, measured, heading, situation), folder / REPORT)
    keep_masks(folder, subject, measured)
    link_back(AUDIT, config.outputs, prepared.fingerprint, folder / REPORT)
