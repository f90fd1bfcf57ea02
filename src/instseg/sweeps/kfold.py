"""Cross-validation: each part of the images is val once, so that the answer does not depend on one split."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from instseg.core.command_line import typed_command
from instseg.core.errors import InstsegError
from instseg.evaluation.chance import LEVEL, verdict
from instseg.sweeps.changes import change, mean_metric, paired
from instseg.sweeps.groups import by_others, mean_text
from instseg.sweeps.records import JobRecord, SweepInfo
from instseg.sweeps.strategy import FixedJobs, Point, Setting, Space

CAUTION = (
    "The folds share training images, so the true interval is somewhat wider; and each fold chose its own best "
    "checkpoint, so the mean is somewhat high."
)


@dataclass(eq=False)
class KFold(FixedJobs):
    """One job for each fold.

    Args:
        folds: number of parts, each of which is ``val`` in one job and trained on in all others.

    Raises:
        InstsegError: there are fewer than two folds.
    """

    folds: int = 5

    axis = "fold"
    has_best_job = False

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise InstsegError(f"sweep.folds={self.folds}: expected 2 or more")

    def points(self, space: Space, setting: Setting) -> list[Point]:
        """Return one point for each fold.

        Args:
            space: the overrides of the sweep.
            setting: a look into the config for which the points are.
        """
        dataset = setting("dataset")
        if isinstance(dataset, Mapping) and "folds" not in dataset:
            raise InstsegError(
                f"sweep=kfold: dataset={setting('dataset.name')} cannot be divided into folds; your own images can: "
                "dataset=auto dataset.root=DIR"
            )
        folds = f"dataset.folds={self.folds}"
        return [Point(str(fold), (folds, f"dataset.fold={fold}")) for fold in range(self.folds)]

    def report(self, records: Sequence[JobRecord], info: SweepInfo, folder: Path) -> list[str]:
        """Summarise the folds by their mean, and compare the best two of what else was swept.

        Args:
            records: of all jobs.
            info: what was asked for.
            folder: of the sweep.
        """
        groups = by_others(records, self.axis)
        means = [self._sentence(*group, info) for group in groups.items()]
        is_any = any(record.is_measured for record in records)
        return [*means, *self._best_two(groups, info), *([CAUTION, _next_step(folder)] if is_any else [])]

    def _sentence(self, others: str, records: Sequence[JobRecord], info: SweepInfo) -> str:
        start = f"{others}: " if others else ""
        values = [record.metric or 0.0 for record in records if record.is_measured]
        if not values:
            return f"{start}no fold is done."
        missing = f"; missing: {self.folds - len(values)} of {self.folds} folds" if len(values) < self.folds else ""
        said = f"{mean_text(values)}, {LEVEL:.0%} interval after Student's t{missing}"
        return f"{start}mean {info.metric} over the folds: {said}."

    def _best_two(self, groups: Mapping[str, Sequence[JobRecord]], info: SweepInfo) -> list[str]:
        """Compare the best two of what else was swept on the folds of both, so that a hard fold is hard for both."""
        measured = [(others, [r for r in records if r.is_measured]) for others, records in groups.items()]
        best = sorted((group for group in measured if group[1]), key=lambda group: mean_metric(group[1]))
        if info.mode == "max":
            best.reverse()
        swept = [key for key in info.values if key != self.axis]
        pairs = paired(best[0][1], best[1][1], *swept) if len(best) > 1 else []
        if len(pairs) < 2:
            return []
        found = change(pairs, info)
        said = verdict(found.low, found.high, found.num_pairs)
        return [f"On the same folds, {best[0][0]} against {best[1][0]}: {found.text}. {said}"]


def _next_step(folder: Path) -> str:
    command = f"{typed_command('label-errors')} {shlex.quote(f'checkpoint={folder}')}"
    return f"Labels that are likely wrong, judged by the models that have not seen them: {command}"
