"""Score thresholds of predictions: those of the checkpoint, one for all categories, or some by category."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.checkpoints.operating_points import OperatingPoints
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.ranges import SCORE_THRESHOLD
from instseg.core.text import did_you_mean, list_names
from instseg.core.types import Prediction

AUTO = "auto"
"""The operating points of the checkpoint; DEFAULT where it has none."""
DEFAULT = 0.5

ScoreThreshold = float | str | Mapping[str, float]
"""AUTO, a number for all categories, or numbers by category; of a category that is not among these AUTO."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The least score of each category."""

    by_category: dict[str, float]  # in the order of the labels
    origin: str
    """What chose them, in words; empty for one number that the user gave."""

    def of_labels(self) -> NDArray[np.float32]:
        """Return them by label - 1, (C,), of the type of scores: a score that equals its threshold is kept."""
        return np.array([*self.by_category.values()], dtype=np.float32)

    def is_kept(self, prediction: Prediction) -> NDArray[np.bool_]:
        """Tell which instances of a prediction have at least the score of their category, (N,)."""
        is_kept: NDArray[np.bool_] = prediction.scores >= self.of_labels()[prediction.labels - 1]
        return is_kept

    def plain(self) -> float | dict[str, float]:
        """Return the one number where all are equal, else all by category."""
        distinct = {*self.by_category.values()}
        return distinct.pop() if len(distinct) == 1 else dict(self.by_category)

    def __str__(self) -> str:
        """Return ``car 0.62, dog 0.48 (best F1 on 16 validation images)``."""
        plain = self.plain()
        if isinstance(plain, dict):
            said = list_names(f"{name} {value:.3g}" for name, value in plain.items())
        else:
            said = f"{plain:.3g}"
        return f"{said} ({self.origin})" if self.origin else said


def choose_thresholds(asked: object, categories: Categories, points: OperatingPoints | None) -> Thresholds:
    """Choose the threshold of each category.

    Args:
        asked: by the user, a ``ScoreThreshold``.
        categories: of the model.
        points: operating points of the model; None where it has none.

    Raises:
        InstsegError: a number is out of range, or the model has no category of a name.
    """
    plain = float(asked) if isinstance(asked, numbers.Real) and not isinstance(asked, bool) else asked
    if plain not in SCORE_THRESHOLD:
        raise InstsegError(f"score_threshold={asked}: expected {SCORE_THRESHOLD}")
    if isinstance(plain, float):
        return Thresholds(dict.fromkeys(categories.names, plain), "")
    given = {str(name): float(value) for name, value in plain.items()} if isinstance(plain, Mapping) else {}
    _check_names(given, categories)
    measured = points.thresholds if points else {}
    chosen = {name: given.get(name, measured.get(name, DEFAULT)) for name in categories.names}
    return Thresholds(chosen, _origin(given, categories, points))


def _check_names(given: Mapping[str, float], categories: Categories) -> None:
    for name in given:
        if name not in categories.names:
            meant = did_you_mean(difflib.get_close_matches(name, categories.names, n=2))
            raise InstsegError(
                f"score_threshold: no category named {name}.{meant} The model has {list_names(categories.names)}"
            )


def _origin(given: Mapping[str, float], categories: Categories, points: OperatingPoints | None) -> str:
    """Describe what chose each threshold: the user, the validation, or nothing."""
    parts = [f"{list_names(given)} as given"] if given else []
    others = [name for name in categories.names if name not in given]
    if others and points is None:
        parts.append("the model has no operating points")
    elif points is not None:
        without = [name for name in others if name not in points.thresholds]
        parts += [points.origin] if len(without) < len(others) else []
        parts += [f"{DEFAULT} for {list_names(without)}, of which nothing was found in val"] if without else []
    return "; ".join(parts)
