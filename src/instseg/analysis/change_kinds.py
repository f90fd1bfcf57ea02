"""Changes from one run to another: instances fixed and broken, wrong detections that are gone and new."""

from __future__ import annotations

from dataclasses import dataclass

from instseg.analysis.shown import Sight


@dataclass(frozen=True, slots=True)
class Changes:
    """Differences between two runs, each kind by its cost in the run that is wrong, the highest first."""

    one: str
    """Letter of the first run."""
    other: str
    """Letter of the second run."""
    fixed: list[Sight]
    """Instances that only the second run is right about."""
    broken: list[Sight]
    """Instances that only the first run is right about."""
    gone: list[Sight]
    """Wrong detections, where nothing is labelled or found twice, of the first run alone."""
    new: list[Sight]
    """The same of the second run alone."""
