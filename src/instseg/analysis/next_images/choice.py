"""Choice of images to label next: uncertain ones, none like another and none like a labelled one.

One after the other: the image whose rank by uncertainty, times its distance to the nearest image that is labelled or
already chosen, is the highest. Without the first factor this is the core-set of Sener & Savarese (2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from instseg.core.arrays import Floats

FLOOR = 0.1
"""Weight of the least uncertain image; the most uncertain has 1. An image of a new kind, on which the model finds
nothing and is sure of it, still has a chance."""

Features = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Chosen:
    """An image that was chosen."""

    index: int
    rank: int  # of its uncertainty among all images that could be chosen, from 1
    distance: float  # 0..1, to the nearest image that is labelled or was chosen before
    nearest: int | None  # that image among the candidates; None where it is a labelled one, or there is none
    is_first: bool  # nothing is labelled, and nothing was chosen before


@dataclass(frozen=True, slots=True)
class Candidates:
    """N images to choose from, and those that are labelled."""

    uncertainties: Floats  # (N,)
    features: Features  # (N, D)
    groups: Integers  # (N,) near duplicates share one
    labelled_features: Features  # (M, D)
    labelled_groups: Integers  # (M,)

    @property
    def is_free(self) -> NDArray[np.bool_]:
        """Tell which candidates are like no labelled image, (N,)."""
        return ~np.isin(self.groups, self.labelled_groups)


def choose(candidates: Candidates, count: int) -> Iterator[Chosen]:
    """Choose images, the most useful first; fewer where the others are near duplicates of these.

    Args:
        candidates: to choose from.
        count: number of images.
    """
    uncertainties, groups = candidates.uncertainties, candidates.groups
    is_free = candidates.is_free
    ranks, weights = _ranks(uncertainties, is_free)
    directions, labelled = _directions(candidates.features, candidates.labelled_features)
    distances, nearest = np.ones(len(groups)), np.full(len(groups), -1)
    for one in labelled:  # one by one: all pairs at once would not fit
        distances = np.minimum(distances, _distance(directions @ one))
    for _ in range(count):
        if not is_free.any():
            return
        index = int(np.argmax(np.where(is_free, weights * distances, -1)))
        near = None if nearest[index] < 0 else int(nearest[index])
        is_first = near is None and not len(labelled)
        yield Chosen(index, int(ranks[index]), float(distances[index]), near, is_first)
        is_free &= groups != groups[index]
        to_this = _distance(directions @ directions[index])
        nearest[to_this < distances] = index
        distances = np.minimum(distances, to_this)


def _ranks(uncertainties: Floats, is_free: NDArray[np.bool_]) -> tuple[Integers, Floats]:
    """Return the ranks (N,) from 1, the most uncertain first, and the weights (N,)."""
    num_free = int(is_free.sum())
    ranks, weights = np.zeros(len(uncertainties), np.int64), np.zeros(len(uncertainties))
    free = np.flatnonzero(is_free)
    ranks[free[np.argsort(-uncertainties[free], kind="stable")]] = np.arange(1, num_free + 1)
    weights[free] = 1 - (1 - FLOOR) * (ranks[free] - 1) / max(num_free - 1, 1)
    return ranks, weights


def _directions(features: Features, labelled: Features) -> tuple[Features, Features]:
    """Return both as unit vectors from the mean of all, each column in units of its standard deviation."""
    units = np.concatenate([features, labelled.reshape(-1, features.shape[1])])
    units -= units.mean(axis=0)
    spread = units.std(axis=0)
    units /= np.where(spread > 0, spread, 1)
    lengths = np.linalg.norm(units, axis=1, keepdims=True)
    units /= np.where(lengths > 0, lengths, 1)
    return units[: len(features)], units[len(features) :]


def _distance(cosines: Features) -> Floats:
    """Return 0 for the same direction, 1 for the opposite one."""
    return np.clip((1 - cosines.astype(np.float64)) / 2, 0, 1)
