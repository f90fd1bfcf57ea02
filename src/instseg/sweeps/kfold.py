"""How good is this training, whichever photos it is measured on?  Each part of the photos is val once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from instseg.errors import InstsegError
from instseg.sweeps.groups import LEVEL, by_others, mean_text
from instseg.sweeps.records import DONE, JobRecord, SweepInfo
from instseg.sweeps.strategy import FixedJobs, Point, Space


class KFold(FixedJobs):
    """One job for each fold.

    Args:
        folds: parts, each of which is ``val`` in one job and trained on in all others.
    """

    axis = "fold"

    def __init__(self, folds: int = 5) -> None:
        if folds < 2:
            raise InstsegError(f"sweep.folds={folds}: expected 2 or more")
        self.folds = folds

    def points(self, space: Space, setting: Callable[[str], Any]) -> list[Point]:
        if setting("dataset") is not None and "folds" not in setting("dataset"):
            raise InstsegError(
                f"sweep=kfold: dataset={setting('dataset.name')} cannot be divided into folds; own photos can"
            )
        dataset = f"dataset.folds={self.folds}"
        return [Point(str(fold), (dataset, f"dataset.fold={fold}")) for fold in range(self.folds)]

    def report(self, records: Sequence[JobRecord], info: SweepInfo, folder: Path) -> list[str]:
        return [self._sentence(*group, info) for group in by_others(records, self.axis).items()]

    def _sentence(self, others: str, records: Sequence[JobRecord], info: SweepInfo) -> str:
        start = f"{others}: " if others else ""
        values = [record.metric for record in records if record.state == DONE and record.metric is not None]
        if not values:
            return f"{start}no fold is done."
        missing = f"; {self.folds - len(values)} of {self.folds} folds are missing" if len(values) < self.folds else ""
        return (
            f"{start}mean {info.metric} over the folds: {mean_text(values)}, {LEVEL:.0%} interval after Student's t"
            f"{missing}. The folds share training photos, so the true interval is somewhat wider."
        )
