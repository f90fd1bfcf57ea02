"""What does each augmentation bring?  The full set against the set without one of them, and against none."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from instseg.errors import InstsegError
from instseg.sweeps.groups import by_others, mean_interval
from instseg.sweeps.ranking import compare_records
from instseg.sweeps.records import DONE, JobRecord, SweepInfo
from instseg.sweeps.strategy import FixedJobs, Point, Space

ALL, NONE = "all", "none"


class Ablation(FixedJobs):
    """The transforms are those of ``augmentation.train``, and copy-paste where the augmentation has it."""

    axis = "augmentation"

    def points(self, space: Space, setting: Callable[[str], Any]) -> list[Point]:
        keys = _transforms(setting("augmentation") or {})
        if not keys:
            raise InstsegError(
                "sweep=ablation: this augmentation has no transforms; choose one, such as augmentation=strong"
            )
        without = [Point(f"without {key.rpartition('.')[2]}", (f"{key}=null",)) for key in keys]
        none = [Point(NONE, tuple(f"{key}=null" for key in keys))] if len(keys) > 1 else []
        return [Point(ALL, ()), *without, *none]

    def report(self, records: Sequence[JobRecord], info: SweepInfo, folder: Path) -> list[str]:
        """Each change against the full set, paired by what else was swept (seeds, say)."""
        done = [record for record in records if record.state == DONE and record.metric is not None]
        full = by_others(_of(done, ALL), self.axis)
        lines = []
        for label in dict.fromkeys(record.values[self.axis] for record in done):
            pairs = [
                (record, full[others][0])
                for others, group in by_others(_of(done, label), self.axis).items()
                for record in group
                if others in full
            ]
            if label != ALL and pairs:
                lines.append(f"{label}: {_against_full(pairs, info)}")
        return ["Against the full set of augmentations:", *lines] if lines else []


def _transforms(augmentation: Mapping[str, Any]) -> list[str]:
    named = [
        f"augmentation.train.{key}" for key, value in (augmentation.get("train") or {}).items() if value is not None
    ]
    return [*named, *(["augmentation.copy_paste"] if augmentation.get("copy_paste") is not None else [])]


def _of(records: Sequence[JobRecord], label: str) -> list[JobRecord]:
    return [record for record in records if record.values[Ablation.axis] == label]


def _against_full(pairs: Sequence[tuple[JobRecord, JobRecord]], info: SweepInfo) -> str:
    """Over several pairs the spread between them; of one pair how far the test images can be trusted."""
    sign = 1 if info.mode == "max" else -1
    changes = [sign * ((one.metric or 0.0) - (full.metric or 0.0)) for one, full in pairs]
    mean, half = (statistics.fmean(changes), math.nan) if len(changes) < 2 else mean_interval(changes)
    said = f"{info.metric} {'better' if mean >= 0 else 'worse'} by {abs(mean):.3f}"
    if len(pairs) > 1:
        low, high = sorted((math.copysign(1, mean) * (mean - half), math.copysign(1, mean) * (mean + half)))
        return f"{said} ({low:.3f} to {high:.3f}, n={len(pairs)})"
    metric = info.metric.removeprefix("val/")
    try:
        return f"{said}; on test {compare_records(*pairs[0], metric)}"
    except InstsegError as error:
        return f"{said}; not compared on test images: {error}"
