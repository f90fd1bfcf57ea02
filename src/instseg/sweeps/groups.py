"""Jobs that differ in one value only, taken together: mean and confidence interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy.special import stdtrit

from instseg.evaluation.chance import bonferroni
from instseg.sweeps.ranking import short
from instseg.sweeps.records import JobRecord


def by_others(records: Sequence[JobRecord], *axes: str) -> dict[str, list[JobRecord]]:
    """Group records by all that was swept besides some axes.

    Args:
        records: of jobs.
        axes: swept keys that do not count.

    Returns:
        Label of each group -> its records; one group with "" where nothing else was swept.
    """
    groups: dict[str, list[JobRecord]] = {}
    for record in records:
        others = ", ".join(f"{key}={short(value)}" for key, value in record.values.items() if key not in axes)
        groups.setdefault(others, []).append(record)
    return groups


def mean_interval(values: Sequence[float], comparisons: int = 1) -> tuple[float, float]:
    """Return a mean and half the width of its 95 % interval after Student's t.

    Args:
        values: one or more; the half width of a single one is NaN.
        comparisons: number of intervals that are to hold together, for which each is wider.
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan
    error = statistics.stdev(values) / math.sqrt(len(values))
    return mean, float(stdtrit(len(values) - 1, (1 + bonferroni(comparisons)) / 2)) * error


def mean_text(values: Sequence[float]) -> str:
    """Return mean, interval and number of values, such as ``0.412 (0.380 to 0.444, n=5)``."""
    mean, half = mean_interval(values)
    if math.isnan(half):
        return f"{mean:.3f} (n=1, so no interval)"
    return f"{mean:.3f} ({mean - half:.3f} to {mean + half:.3f}, n={len(values)})"
