"""The gain of each augmentation: the full set against the set without one of them, and against none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.evaluation.chance import LEVEL, verdict_of_several
from instseg.sweeps.changes import Change, change, paired
from instseg.sweeps.records import JobRecord, SweepInfo
from instseg.sweeps.strategy import FixedJobs, Point, Setting, Space

ALL, NONE = "all", "none"


class Ablation(FixedJobs):
    """The transforms are those of ``augmentation.train``, and copy-paste where the augmentation has it."""

    axis = "augmentation"

    def points(self, space: Space, setting: Setting) -> list[Point]:
        """Return the full set, each set without one transform, and none.

        Args:
            space: the overrides of the sweep.
            setting: a look into the config for which the points are.
        """
        keys = _transforms(setting("augmentation"))
        if not keys:
            raise InstsegError(
                "sweep=ablation: this augmentation has no transforms; choose one, such as augmentation=strong"
            )
        without = [Point(f"without {key.rpartition('.')[2]}", (f"{key}=null",)) for key in keys]
        none = [Point(NONE, tuple(f"{key}=null" for key in keys))] if len(keys) > 1 else []
        return [Point(ALL, ()), *without, *none]

    def report(self, records: Sequence[JobRecord], info: SweepInfo, folder: Path) -> list[str]:
        """Compare each change with the full set, paired by what else was swept (seeds, say).

        Args:
            records: of all jobs.
            info: what was asked for.
            folder: of the sweep.
        """
        labels = dict.fromkeys(record.values[self.axis] for record in records)
        found = {label: paired(_of(records, label), _of(records, ALL), self.axis) for label in labels if label != ALL}
        pairs = {label: of_label for label, of_label in found.items() if of_label}
        if not pairs:
            return []
        changes = {label: change(of_label, info, comparisons=len(pairs)) for label, of_label in pairs.items()}
        together = f" (intervals of {LEVEL:.0%} for all {len(pairs)} together)" if len(pairs) > 1 else ""
        lines = [f"{label}: {changed.text}" for label, changed in changes.items()]
        return [f"Against the full set of augmentations{together}:", *lines, _verdict(changes)]


def _verdict(changes: Mapping[str, Change]) -> str:
    """Name the changes that are beyond chance."""
    clear = {label: changed for label, changed in changes.items() if changed.is_clear}
    return verdict_of_several(list(clear), all(changed.num_pairs > 1 for changed in clear.values()))


def _transforms(augmentation: object) -> list[str]:
    if not isinstance(augmentation, Mapping):
        return []
    train = augmentation.get("train") or {}
    named = [f"augmentation.train.{key}" for key, value in train.items() if value is not None]
    return [*named, *(["augmentation.copy_paste"] if augmentation.get("copy_paste") is not None else [])]


def _of(records: Sequence[JobRecord], label: str) -> list[JobRecord]:
    return [record for record in records if record.values[Ablation.axis] == label]
