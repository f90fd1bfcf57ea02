"""Numbers of runs on the same images beside each other, and their differences with intervals."""

from __future__ import annotations

from dataclasses import dataclass

from instseg.evaluation.paired import Paired


@dataclass(frozen=True, slots=True)
class CategoryNumbers:
    """Numbers of a category."""

    name: str
    num_instances: int
    ap: Paired
    f1: Paired
    """At the thresholds of each run."""


@dataclass(frozen=True, slots=True)
class PartNumbers:
    """Mask AP of a part of the instances."""

    grouping: str
    name: str
    num_instances: int
    ap: Paired


@dataclass(frozen=True, slots=True)
class Differences:
    """All that is compared."""

    ap: Paired
    ap50: Paired
    recall: Paired
    """At the thresholds of each run, over the instances of all categories, under their category."""
    precision: Paired
    categories: list[CategoryNumbers]
    parts: list[PartNumbers]
