"""A run that is compared with others on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.analysis.cases import Case
from instseg.analysis.shown import RightOf
from instseg.analysis.subject import Subject
from instseg.evaluation.assignment import Assignment
from instseg.evaluation.confusion import Confusion
from instseg.evaluation.image_details import DetailsPool, PlacedRecord


@dataclass(frozen=True, slots=True)
class RunNames:
    """Names of a run on the page."""

    letter: str
    title: str
    """Its folder, in words."""
    settings: str = ""
    """Overrides that it was started with."""
    report: str = ""
    """Path of its report from the page; empty where it has none."""


@dataclass(frozen=True, slots=True, eq=False)
class ComparedRun:
    """A run, its test, and the outcomes of its detections at its thresholds."""

    names: RunNames
    images: Sequence[PlacedRecord]
    """All detections of each image, sorted by image_id."""
    subject: Subject
    """The same images with the detections at the thresholds and their masks."""
    pool: DetailsPool
    """These detections, and the instances."""
    assignment: Assignment
    confusion: Confusion
    cases: list[Case]
    """Mistakes, the most costly first."""
    right_of: RightOf
    """Detections that are drawn, and whether each is right."""
    finder: NDArray[np.int64]
    """(G,) row, in the prediction of its image, of the detection that is right about each instance; NONE."""

    @property
    def letter(self) -> str:
        """Letter that stands for the run."""
        return self.names.letter

    @property
    def num_right(self) -> int:
        """Instances that are found, under their category."""
        return int(np.diagonal(self.confusion.matrix)[1:].sum())

    @property
    def num_instances(self) -> int:
        """Instances to find."""
        return int(self.confusion.matrix[1:].sum())
