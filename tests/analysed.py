"""Small evaluated sets for the tests of the analysis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from detections import CATEGORIES, random_image
from factories import write_picture

from instseg.analysis.cases import Case
from instseg.analysis.compared_run import ComparedRun, RunNames
from instseg.analysis.find_cases import find_cases
from instseg.analysis.judge_run import judge_run
from instseg.analysis.measured import Measured, measure
from instseg.analysis.subject import ImageFile, Subject
from instseg.core.categories import Categories
from instseg.core.types import GroundTruth, Prediction
from instseg.evaluation.evaluated import EvaluatedImages
from instseg.evaluation.image_details import ImageDetails

Pair = tuple[Prediction, GroundTruth]


def random_pairs(seed: int, num_images: int = 6) -> list[Pair]:
    rng = np.random.default_rng(seed)
    return [
        random_image(rng, number, rng.integers(0, 6), rng.integers(0, 3), [1, 2, 3]) for number in range(num_images)
    ]


def subject_of(pairs: Sequence[Pair], categories: Categories = CATEGORIES, threshold: float = 0.5) -> Subject:
    """Of images that have no files."""
    evaluated = EvaluatedImages.of(pairs, categories)
    return Subject(
        evaluated, lambda image_id: ImageFile(f"{image_id}.png", Path("nowhere")), np.full(len(categories), threshold)
    )


def subject_on_disk(folder: Path, pairs: Sequence[Pair], categories: Categories = CATEGORIES, name="{}.png") -> Subject:
    """Of images that lie in a folder."""
    files = {}
    for _, truth in pairs:
        path = write_picture(folder / f"{truth.image_id}.png", truth.image_size)
        files[truth.image_id] = ImageFile(name.format(truth.image_id), path)
    return Subject(EvaluatedImages.of(pairs, categories), files.__getitem__, np.full(len(categories), 0.5))


def cases_of(subject: Subject) -> tuple[list[Case], Measured]:
    measured = measure(subject)
    return find_cases(measured.pool, measured.assignment, measured.confusion), measured


def compared_run(letter: str, subject: Subject, **fields: str) -> ComparedRun:
    """A run whose detections are those of the subject, with those below the thresholds left out of the pictures."""
    evaluated = subject.evaluated
    pairs = zip(evaluated.predictions, evaluated.truths, strict=True)
    images = [ImageDetails.build(prediction, truth) for prediction, truth in pairs]
    kept = [one.select(one.scores >= subject.thresholds[one.labels - 1]) for one in evaluated.predictions]
    shown = replace(subject, evaluated=EvaluatedImages(kept, evaluated.truths, evaluated.categories))
    return judge_run(RunNames(letter, f"run {letter}", **fields), images, shown)
