"""The gain of a change between otherwise equal jobs, and how far it can be trusted."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from instseg.core.errors import InstsegError
from instseg.evaluation.chance import is_beyond_chance
from instseg.sweeps.groups import by_others, mean_interval
from instseg.sweeps.ranking import compare_records
from instseg.sweeps.records import JobRecord, SweepInfo

Pair = tuple[JobRecord, JobRecord]
"""A job with the change and the one without."""


@dataclass(frozen=True)
class Change:
    """The mean gain over pairs of jobs, and its interval: over the pairs, or, of one pair, over the test images."""

    gain: float  # above 0: better; where the interval is over test images, on these
    low: float  # NaN where nothing is known
    high: float
    num_pairs: int
    text: str  # such as "val/segm_map better by 0.021 (0.004 to 0.039, n=3)"

    @property
    def is_clear(self) -> bool:
        """Tell whether the interval leaves out zero."""
        return is_beyond_chance(self.low, self.high)


def mean_metric(records: Sequence[JobRecord]) -> float:
    """Return the mean of the monitored metric over one or more measured jobs."""
    return statistics.fmean(record.metric or 0.0 for record in records)


def paired(new: Sequence[JobRecord], old: Sequence[JobRecord], *axes: str) -> list[Pair]:
    """Pair measured jobs that differ in some keys alone.

    Args:
        new: jobs with the change.
        old: jobs without it.
        axes: the keys.
    """
    partners = by_others([record for record in old if record.is_measured], *axes)
    groups = by_others([record for record in new if record.is_measured], *axes)
    return [(record, partners[key][0]) for key, group in groups.items() if key in partners for record in group]


def change(pairs: Sequence[Pair], info: SweepInfo, comparisons: int = 1) -> Change:
    """Measure a change.

    Args:
        pairs: one or more.
        info: names the metric, and the direction in which it is better.
        comparisons: number of intervals of 95 % that are to hold together, for which each is wider.
    """
    sign = 1 if info.mode == "max" else -1
    gains = [sign * ((new.metric or 0.0) - (old.metric or 0.0)) for new, old in pairs]
    gain, half = mean_interval(gains, comparisons)
    said = f"{info.metric} {'better' if gain >= 0 else 'worse'} by {abs(gain):.3f}"
    if len(pairs) == 1:
        return _on_test(gain, said, pairs[0], info, comparisons)
    towards = math.copysign(1, gain)
    low, high = sorted((towards * (gain - half), towards * (gain + half)))
    text = f"{said} ({low:.3f} to {high:.3f}, n={len(pairs)})"
    return Change(gain, gain - half, gain + half, len(pairs), text)


def _on_test(gain: float, said: str, pair: Pair, info: SweepInfo, comparisons: int) -> Change:
    try:
        found = compare_records(*pair, info.metric.removeprefix("val/"), comparisons)
    except InstsegError as error:
        return Change(gain, math.nan, math.nan, 1, f"{said}; not compared on test images: {error}")
    return Change(found.value, found.low, found.high, 1, f"{said}; on test {found}")
