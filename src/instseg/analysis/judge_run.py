"""The outcomes of a run's detections at its thresholds, for a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.compared_run import ComparedRun, RunNames
from instseg.analysis.find_cases import find_cases, right_of
from instseg.analysis.subject import Subject
from instseg.evaluation.assignment import assign
from instseg.evaluation.confusion import BACKGROUND, Confusion, confusion
from instseg.evaluation.image_details import DetailsPool, ImageDetails, PlacedRecord
from instseg.evaluation.one_to_one import NONE


def judge_run(names: RunNames, images: Sequence[PlacedRecord], subject: Subject) -> ComparedRun:
    """Find which detections at the thresholds are right, and what is missed.

    Args:
        names: of the run.
        images: all detections of each image, sorted by image_id.
        subject: the same images with the detections at the thresholds and their masks.
    """
    pairs = zip(subject.evaluated.predictions, subject.evaluated.truths, strict=True)
    pool = DetailsPool.of([ImageDetails.build(*pair) for pair in pairs])
    assignment, kept = assign(pool), np.ones(len(pool.images), np.bool_)
    outcomes = confusion(pool, assignment, kept, len(subject.evaluated.categories))
    cases = find_cases(pool, assignment, outcomes)
    drawn, finder = right_of(outcomes), _finder(outcomes, len(pool.truth_images))
    return ComparedRun(names, images, subject, pool, assignment, outcomes, cases, drawn, finder)


def _finder(outcomes: Confusion, num_instances: int) -> NDArray[np.int64]:
    cases = outcomes.cases
    is_right = (cases.truth_labels == cases.labels) & (cases.labels != BACKGROUND)
    finder = np.full(num_instances, NONE)
    finder[cases.truths[is_right]] = cases.predicted_rows[is_right]
    return finder
