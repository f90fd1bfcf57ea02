"""Would more labelled photos help?  The same training on parts of the training images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from instseg.atomic import replacing
from instseg.errors import InstsegError
from instseg.sweeps.groups import by_others
from instseg.sweeps.records import DONE, JobRecord, SweepInfo
from instseg.sweeps.strategy import FixedJobs, Point, Space

WORTHWHILE = 0.01
"""A gain in AP from here on is called a gain."""


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
        curves = {}
        for others, group in by_others(records, self.axis).items():
            values: dict[float, list[float]] = defaultdict(list)
            for record in group:
                if record.state == DONE and record.metric is not None:
                    values[float(record.values[self.axis])].append(record.metric)
            if values:
                curves[others] = {share: sum(all_) / len(all_) for share, all_ in sorted(values.items())}
        if curves:
            plot_learning_curves(curves, info, folder / "learning_curve.png")
        lines = [_sentence(others, curve, info) for others, curve in curves.items()]
        return [*lines, f"{'curve:':<16} {folder / 'learning_curve.png'}"] if curves else []


def _sentence(others: str, curve: Mapping[float, float], info: SweepInfo) -> str:
    said = ", ".join(f"{value:.3f} with {share:.0%}" for share, value in curve.items())
    start = f"{others}: " if others else ""
    if len(curve) < 2:
        return f"{start}{info.metric} {said} of the training images; the other parts are not done."
    before, last = list(curve.values())[-2:]
    shares = list(curve)[-2:]
    gain = last - before if info.mode == "max" else before - last
    if gain >= WORTHWHILE:
        verdict = "it was still rising: more photos like these would very likely help"
    elif gain > -WORTHWHILE:
        verdict = (
            "it has levelled off: more photos of this kind would help little; better ones, or another model, might"
        )
    else:
        verdict = "it fell, so chance is larger than the gain: repeat it with seed=0,1,2 dataset.seed=0"
    return (
        f"{start}{info.metric} {said} of the training images. From {shares[0]:.0%} to {shares[1]:.0%} {verdict} "
        f"({'gained' if gain >= 0 else 'lost'} {abs(gain):.3f})."
    )


def plot_learning_curves(curves: Mapping[str, Mapping[float, float]], info: SweepInfo, path: Path) -> None:
    """One line for each combination of the other values. Written atomically."""
    figure = Figure(figsize=(7.2, 4.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for number, (others, curve) in enumerate(curves.items()):
        shares = [100 * share for share in curve]
        axis.plot(shares, list(curve.values()), "-o", color=f"C{number % 10}", label=others or None, linewidth=1.8)
        for share, value in zip(shares, curve.values(), strict=True):
            axis.annotate(f"{value:.3f}", (share, value), (0, 8), textcoords="offset points", ha="center", fontsize=9)
    axis.set_xlabel("share of the training images (%)")
    axis.set_ylabel(info.metric)
    axis.set_title("Would more data help?", loc="left")
    axis.set_xticks(sorted({100 * share for curve in curves.values() for share in curve}))
    axis.margins(x=0.08, y=0.18)
    axis.grid(alpha=0.3)
    if len(curves) > 1:
        axis.legend(fontsize=9)
    with replacing(path) as scratch:
        figure.savefig(scratch, format="png")
