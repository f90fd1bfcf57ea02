"""Rows of columns that lie in stretches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``starts[0], starts[0] + 1, …`` for ``counts[0]`` numbers, then those from ``starts[1]``, and so on.

    Args:
        starts: (S,) first number of each stretch.
        counts: (S,) how many numbers each has.
    """
    before = np.cumsum(counts) - counts
    return np.asarray(np.arange(int(counts.sum())) + np.repeat(starts - before, counts))
