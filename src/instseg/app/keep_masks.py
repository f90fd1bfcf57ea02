"""The masks of a test, kept in the run folder beside its report, so that the run can be compared on a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from instseg.analysis.measured import Measured
from instseg.analysis.subject import Subject
from instseg.evaluation.evaluated import EvaluatedImages
from instseg.evaluation.masks_file import FILE_NAME, MaskResults, write_masks


def keep_masks(folder: Path, subject: Subject, measured: Measured) -> None:
    """Write the masks of what is labelled and of what is found at the thresholds.

    Args:
        folder: of the run.
        subject: what was tested.
        measured: of the subject.
    """
    evaluated, thresholds = subject.evaluated, subject.thresholds.astype(np.float32)
    found = [one.select(one.scores >= thresholds[one.labels - 1]) for one in evaluated.predictions]
    files = [subject.file(image) for image in range(len(evaluated))]
    tested = MaskResults(
        EvaluatedImages(found, evaluated.truths, evaluated.categories),
        [details.boxes for details in measured.pool.details],
        [str(file.path) for file in files],
        [file.rotate for file in files],
        subject.thresholds,
    )
    write_masks(folder / FILE_NAME, tested)
