"""The model that a server has, and what is kept of what it finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from instseg.core.categories import Categories, select_names
from instseg.core.types import Prediction
from instseg.prediction.model_version import model_version
from instseg.prediction.predictor import Predictor
from instseg.prediction.thresholds import Thresholds, choose_thresholds


@dataclass(frozen=True)
class ServedModel:
    """A model at work, with what is kept of what it finds."""

    predictor: Predictor
    identity: Mapping[str, object]
    """Plain containers that say which model it is."""
    score_threshold: object
    """A ``ScoreThreshold``, where a request says nothing else."""
    colour_by: Literal["instance", "category"]

    @property
    def categories(self) -> Categories:
        """Names of its labels 1...."""
        return self.predictor.categories

    @cached_property
    def thresholds(self) -> Thresholds:
        """The score threshold of each category, where a request says nothing else."""
        return self.thresholds_of(self.score_threshold)

    @cached_property
    def version(self) -> str:
        """The model in a few words, the same for the same checkpoint."""
        return model_version(self.identity)

    def thresholds_of(self, asked: object) -> Thresholds:
        """Return the threshold of each category.

        Raises:
            InstsegError: a number is out of range.
        """
        return choose_thresholds(asked, self.categories, self.predictor.operating_points)

    def kept(self, found: Prediction, thresholds: Thresholds, names: Sequence[str] = ()) -> Prediction:
        """Return the instances that are wanted.

        Args:
            found: everything that the network has found on an image.
            thresholds: instances below are left out.
            names: categories that are wanted; none: all.

        Raises:
            InstsegError: there is no category of a name.
        """
        chosen = select_names(self.categories.names, list(names) or None, "categories")
        labels = [self.categories.label(name) for name in chosen]
        return found.select(thresholds.is_kept(found) & np.isin(found.labels, labels))

    def names(self, labels: Iterable[int]) -> list[str]:
        """Return the names of labels."""
        return [self.categories.name(int(label)) for label in labels]
