"""Images judged by the models of a jury: what each finds beside the labels that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from instseg.analysis.label_errors.judged import Judged
from instseg.analysis.subject import ImageFile
from instseg.app.build_data import build_datamodule
from instseg.app.build_model import build_trained_model
from instseg.app.build_module import build_module
from instseg.app.config import Name
from instseg.app.job import Job
from instseg.app.judges import Judge, Jury
from instseg.app.open_run import OpenRun
from instseg.core.types import GroundTruth, Prediction
from instseg.data.prepared import PreparedDataset
from instseg.evaluation.evaluated import EvaluatedImages
from instseg.training.evaluated_images import EvaluatedImagesKeeper
from instseg.training.trainer_parts import callbacks_of


@dataclass(frozen=True, slots=True)
class _JudgedImage:
    file: ImageFile
    judge: str
    prediction: Prediction
    truth: GroundTruth


def judge_images(jury: Jury, run: OpenRun, job: Job) -> Judged:
    """Let every judge look at its images. Of several processes the first has the result of all.

    Args:
        jury: the judges.
        run: whose trainer keeps what a test finds.
        job: of this process.

    Raises:
        InstsegError: a checkpoint cannot be used, or has other categories than its data set.
    """
    found = [one for judge in jury.judges for one in _judged_by(judge, run, job)]
    return _joined(found, run, jury.notes)


def _judged_by(judge: Judge, run: OpenRun, job: Job) -> list[_JudgedImage]:
    config = msgspec.structs.replace(run.config, checkpoint=Name(judge.checkpoint))
    trained = build_trained_model(config, job)
    trained.categories.check_same(judge.prepared.categories, "checkpoint", "dataset")
    indices = {**judge.prepared.indices, "test": judge.images}
    data = build_datamodule(config, PreparedDataset(judge.prepared.folder, indices, judge.prepared.notes))
    run.trainer.limit_test_batches = 1.0  # the run may have been tested on some images only
    run.trainer.test(build_module(config, trained.model), datamodule=data, verbose=False)
    keeper = next(one for one in callbacks_of(run.trainer) if isinstance(one, EvaluatedImagesKeeper))
    return [
        _JudgedImage(ImageFile.of(judge.images, truth.image_id), judge.name, found, truth)
        for found, truth in keeper.pairs
    ]


def _joined(found: Sequence[_JudgedImage], run: OpenRun, notes: Sequence[str]) -> Judged:
    """Return all images under numbers of their own, each once: folds number theirs independently."""
    by_path = {one.file.path: one for one in reversed(found)}
    ordered = [by_path[path] for path in sorted(by_path)]
    pairs = [
        (replace(one.prediction, image_id=number), replace(one.truth, image_id=number))
        for number, one in enumerate(ordered, start=1)
    ]
    images = EvaluatedImages.of(pairs, run.data.categories)
    return Judged(images, [one.file for one in ordered], [one.judge for one in ordered], notes)
