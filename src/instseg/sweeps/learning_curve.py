"""Would more labelled photos help?  The same training on parts of the training images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from instseg.core.errors import InstsegError
from instseg.sweeps.changes import REPEAT, Change, change, is_measured, mean_metric, paired
from instseg.sweeps.groups import by_others
from instseg.sweeps.records import JobRecord, SweepInfo
from instseg.sweeps.strategy import FixedJobs, Point, Space
from instseg.visualization.curves import write_png

WORTHWHILE = 0.01
"""A gain in AP from here on is called a gain."""
SEED = "seed"
NOTHING_LEARNT = "Nothing was learnt, so this says nothing of the photos: train longer, or from pretrained weights."
Curve = Mapping[float, Sequence[JobRecord]]
"""Share of the training images, ascending -> its jobs, of which there are several where seeds were swept."""


class LearningCurve(FixedJobs):
    """The parts are nested: each holds all of the smaller ones.

    Args:
        shares: of the training images, ascending.
        same_steps: train on a part for so many more epochs that the number of steps is the same, so that it is the
            number of photos that makes the difference, and not the length of the training.
    """

    axis = "train_share"

    def __init__(self, shares: Sequence[float], same_steps: bool = True) -> None:
        if len(shares) < 2 or not all(0 < share <= 1 for share in shares) or list(shares) != sorted(set(shares)):
            raise InstsegError(f"sweep.shares={list(shares)}: expected two or more, ascending, above 0 and up to 1")
        self.shares, self.same_steps = shares, same_steps

    def points(self, space: Space, setting: Callable[[str], Any]) -> list[Point]:
        return [Point(f"{share:g}", (f"train_share={share:g}", *self._epochs(share, setting))) for share in self.shares]

    def _epochs(self, share: float, setting: Callable[[str], Any]) -> list[str]:
        epochs, every = setting("trainer.max_epochs"), setting("trainer.check_val_every_n_epoch")
        if not self.same_steps or share == 1 or not epochs or epochs < 1 or not every:
            return []
        return [
            f"trainer.max_epochs={round(epochs / share)}",
            f"trainer.check_val_every_n_epoch={max(1, round(every / share))}",
        ]

    def report(self, records: Sequence[JobRecord], info: SweepInfo, folder: Path) -> list[str]:
        """One curve for each combination of what else was swept, seeds taken together."""
        curves = {others: _by_share(group) for others, group in by_others(records, self.axis, SEED).items()}
        curves = {others: curve for others, curve in curves.items() if curve}
        if not curves:
            return []
        plot_learning_curves(curves, info, folder / "learning_curve.png")
        lines = [_sentence(others, curve, info, len(curves)) for others, curve in curves.items()]
        return [*lines, f"{'curve:':<16} {folder / 'learning_curve.png'}"]


def _by_share(records: Sequence[JobRecord]) -> Curve:
    found: dict[float, list[JobRecord]] = defaultdict(list)
    for record in records:
        if is_measured(record):
            found[float(record.values[LearningCurve.axis])].append(record)
    return dict(sorted(found.items()))


def _sentence(others: str, curve: Curve, info: SweepInfo, comparisons: int) -> str:
    said = ", ".join(f"{mean_metric(records):.3f} with {share:.0%}" for share, records in curve.items())
    start = f"{others}: {info.metric}" if others else info.metric
    if len(curve) < 2:
        return f"{start} {said} of the training images; the other parts are not done."
    if info.mode == "max" and max(map(mean_metric, curve.values())) < WORTHWHILE:
        return f"{start} {said} of the training images. {NOTHING_LEARNT}"
    (smaller, before), (larger, last) = list(curve.items())[-2:]
    pairs = paired(last, before, LearningCurve.axis) or [(last[0], before[0])]
    found = change(pairs, info, comparisons)
    return f"{start} {said} of the training images. {smaller:.0%} to {larger:.0%}: {found.text}. {_verdict(found)}"


def _verdict(found: Change) -> str:
    """With few images to measure on a rise is soon no more than chance, and nothing is promised of it."""
    if abs(found.gain) < WORTHWHILE:
        return "It has levelled off: more photos of this kind would help little; better ones, or another model, might."
    if found.gain > 0 and found.low > 0 and found.num_pairs > 1:
        return "It was still rising: more photos like these are likely to help."
    if found.gain > 0 and found.low > 0:
        return f"It was still rising on these test images: more photos like these may well help. {REPEAT}"
    if found.gain > 0:
        return f"It rose, which may be chance: more photos like these may help. {REPEAT}"
    return f"It fell, so chance is larger than the gain. {REPEAT}"


def plot_learning_curves(curves: Mapping[str, Curve], info: SweepInfo, path: Path) -> None:
    """A line of means for each combination of the other values, and around it the single jobs. Written atomically."""
    figure = Figure(figsize=(7.2, 4.6), dpi=120, layout="constrained")
    axis = figure.subplots()
    for number, (others, curve) in enumerate(curves.items()):
        means = {100 * share: mean_metric(records) for share, records in curve.items()}
        jobs = [(100 * share, r.metric or 0.0) for share, records in curve.items() if records[1:] for r in records]
        axis.plot(*zip(*means.items(), strict=True), "-o", color=f"C{number % 10}", label=others or None, linewidth=1.8)
        axis.plot([x for x, _ in jobs], [y for _, y in jobs], "o", color=f"C{number % 10}", alpha=0.35, markersize=4)
        for place in means.items():
            axis.annotate(f"{place[1]:.3f}", place, (0, 8), textcoords="offset points", ha="center", fontsize=9)
    axis.set_xlabel("share of the training images (%)")
    axis.set_ylabel(info.metric)
    axis.set_title("Would more data help?", loc="left")
    axis.set_xticks(sorted({100 * share for curve in curves.values() for share in curve}))
    axis.margins(x=0.08, y=0.18)
    axis.grid(alpha=0.3)
    if len(curves) > 1:
        axis.legend(fontsize=9)
    write_png(figure, path)
