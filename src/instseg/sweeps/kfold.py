"""How good is this training, whichever photos it is measured on?  Each part of the photos is val once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from instseg.core.errors import InstsegError
from instseg.sweeps.changes import change, is_measured, mean_metric, paired
from instseg.sweeps.comparison import LEVEL
from instseg.sweeps.groups import by_others, mean_text
from instseg.sweeps.records import JobRecord, SweepInfo
from instseg.sweeps.strategy import FixedJobs, Point, Space

CAUTION = (
    "The folds share training photos, so that a true interval is somewhat wider; and each fold has chosen its own best "
    "checkpoint, so that a mean is somewhat high."
)


class KFold(FixedJobs):
    """One job for each fold.

    Args:
        folds: parts, each of which is ``val`` in one job and trained on in all others.
    """

    axis = "fold"
    has_best_job = False

    def __init__(self, folds: int = 5) -> None:
        if folds < 2:
            raise InstsegError(f"sweep.folds={folds}: expected 2 or more")
        self.folds = folds

    def points(self, space: Space, setting: Callable[[str], Any]) -> list[Point]:
        if setting("dataset") is not None and "folds" not in setting("dataset"):
            raise InstsegError(
                f"sweep=kfold: dataset={setting('dataset.name')} cannot be divided into folds; own photos can: "
                "dataset=auto dataset.root=DIR"
            )
        dataset = f"dataset.folds={self.folds}"
        return [Point(str(fold), (dataset, f"dataset.fold={fold}")) for fold in range(self.folds)]

    def report(self, records: Sequence[JobRecord], info: SweepInfo, folder: Path) -> list[str]:
        groups = by_others(records, self.axis)
        means = [self._sentence(*group, info) for group in groups.items()]
        return [*means, *self._best_two(groups, info), *([CAUTION] if any(map(is_measured, records)) else [])]

    def _sentence(self, others: str, records: Sequence[JobRecord], info: SweepInfo) -> str:
        start = f"{others}: " if others else ""
        values = [record.metric or 0.0 for record in records if is_measured(record)]
        if not values:
            return f"{start}no fold is done."
        missing = f"; {self.folds - len(values)} of {self.folds} folds are missing" if len(values) < self.folds else ""
        said = f"{mean_text(values)}, {LEVEL:.0%} interval after Student's t{missing}"
        return f"{start}mean {info.metric} over the folds: {said}."

    def _best_two(self, groups: Mapping[str, Sequence[JobRecord]], info: SweepInfo) -> list[str]:
        """Of what else was swept, on the folds that both have: how hard a fold is does not count then."""
        measured = [(others, [r for r in records if is_measured(r)]) for others, records in groups.items()]
        best = sorted((group for group in measured if group[1]), key=lambda group: mean_metric(group[1]))
        if info.mode == "max":
            best.reverse()
        swept = [key for key in info.values if key != self.axis]
        pairs = paired(best[0][1], best[1][1], *swept) if len(best) > 1 else []
        if len(pairs) < 2:
            return []
        found = change(pairs, info)
        chance = "" if found.is_clear else " As the interval holds 0, it may be chance."
        return [f"On the same folds, {best[0][0]} against {best[1][0]}: {found.text}.{chance}"]
