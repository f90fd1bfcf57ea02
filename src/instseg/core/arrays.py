"""Names of the arrays that computations pass on, by what they hold. Their shapes stand where they are used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]
Rows = NDArray[np.int64]
"""Indices."""
