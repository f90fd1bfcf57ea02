"""Outcome of each instance of an image: found or missed, right or wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(eq=False, frozen=True, slots=True)
class Outcomes:
    """Outcomes of N annotated and D predicted instances.

    A crowd is neither found nor missed; a detection that matches nothing but a crowd is neither right nor wrong.
    """

    is_found: NDArray[np.bool_]  # (N,)
    is_missed: NDArray[np.bool_]  # (N,)
    is_right: NDArray[np.bool_]  # (D,)
    is_wrong: NDArray[np.bool_]  # (D,)
