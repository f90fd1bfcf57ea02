"""Choice of instances by detections, one after the other, each instance by one at most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NONE = -1
"""Row of an instance that is not there."""


def take_first(
    detections: NDArray[np.int64], truths: NDArray[np.int64], num_detections: int, num_truths: int
) -> NDArray[np.int64]:
    """Let detections choose one after the other, each the first instance that is still free.

    Args:
        detections: (E,) of each pair; the pairs of the detection that chooses first come first.
        truths: (E,) of each pair; of one detection's pairs the preferred comes first.
        num_detections: D.
        num_truths: G.

    Returns:
        (D,) row of the instance, NONE where none was free.
    """
    is_free, chosen = bytearray(b"\1" * num_truths), [NONE] * num_detections
    for detection, truth in zip(detections.tolist(), truths.tolist(), strict=True):
        if chosen[detection] == NONE and is_free[truth]:
            chosen[detection], is_free[truth] = truth, 0
    return np.array(chosen, dtype=np.int64)
