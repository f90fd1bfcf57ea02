"""Jobs that differ in one value only, taken together: mean and confidence interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy.special import stdtrit

from instseg.sweeps.comparison import bonferroni
from instseg.sweeps.ranking import short
from instseg.sweeps.records import JobRecord


def by_others(records: Sequence[JobRecord], *axes: str) -> dict[str, list[JobRecord]]:
    """Records by all that was swept besides these axes, as text; one group with "" where there is nothing else."""
    groups: dict[str, list[JobRecord]] = {}
    for record in records:
        others = ", ".join(f"{key}={short(value)}" for key, value in record.values.items() if key not in axes)
        groups.setdefault(others, []).append(record)
    return groups


def mean_interval(values: Sequence[float], comparisons: int = 1) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval after Student's t, or of a wider one; NaN for a single value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan
    error = statistics.stdev(values) / math.sqrt(len(values))
    return mean, float(stdtrit(len(values) - 1, (1 + bonferroni(comparisons)) / 2)) * error


def mean_text(values: Sequence[float]) -> str:
    """Such as ``0.412 (0.380 to 0.444, n=5)``."""
    mean, half = mean_interval(values)
    if math.isnan(half):
        return f"{mean:.3f} (n=1, so no interval)"
    return f"{mean:.3f} ({mean - half:.3f} to {mean + half:.3f}, n={len(values)})"
