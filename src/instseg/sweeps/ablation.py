"""What does each augmentation bring?  The full set against the set without one of them, and against none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from instseg.errors import InstsegError
from instseg.sweeps.changes import REPEAT, change, paired
from instseg.sweeps.records import JobRecord, SweepInfo
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
        labels = dict.fromkeys(record.values[self.axis] for record in records)
        pairs = {label: paired(_of(records, label), _of(records, ALL), self.axis) for label in labels if label != ALL}
        changes = {label: change(found, info) for label, found in pairs.items() if found}
        lines = [f"{label}: {found.text}" for label, found in changes.items()]
        clear = ", ".join(label for label, found in changes.items() if found.is_clear)
        verdict = f"Beyond chance: {clear}." if clear else f"Each of these may be chance. {REPEAT}"
        return ["Against the full set of augmentations:", *lines, verdict] if lines else []


def _transforms(augmentation: Mapping[str, Any]) -> list[str]:
    named = [
        f"augmentation.train.{key}" for key, value in (augmentation.get("train") or {}).items() if value is not None
    ]
    return [*named, *(["augmentation.copy_paste"] if augmentation.get("copy_paste") is not None else [])]


def _of(records: Sequence[JobRecord], label: str) -> list[JobRecord]:
    return [record for record in records if record.values[Ablation.axis] == label]
