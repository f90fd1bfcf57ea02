"""Learning curve: the same training on parts of the training images, to see whether more labels would help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from instseg.core.channels import MAX_LABEL, plot_label
from instseg.core.errors import InstsegError
from instseg.evaluation.chance import REPEAT, verdict
from instseg.sweeps.changes import Change, change, mean_metric, paired
from instseg.sweeps.curve_points import TRAIN_FRACTION, Curve, curves_of
from instseg.sweeps.ranking import decimals
from instseg.sweeps.records import JobRecord, SweepInfo
from instseg.sweeps.strategy import FixedJobs, Point, Setting, Space
from instseg.visualization.curves import drawable, write_png

WORTHWHILE = 0.01
"""A smaller difference in AP is not called a gain."""
NOTHING_LEARNT = "Nothing was learnt, so this says nothing of the images: train longer, or from pretrained weights."


@dataclass(eq=False)
class LearningCurve(FixedJobs):
    """One job for each part of the training images. The parts are nested: each holds all of the smaller ones.

    Args:
        fractions: of the training images, ascending, above 0 and up to 1.
        same_steps: train for more epochs on a part, so that the number of steps is the same, and only the number of
            images makes the difference.

    Raises:
        InstsegError: the fractions make no curve.
    """

    fractions: list[float]
    same_steps: bool = True

    axis = TRAIN_FRACTION

    def __post_init__(self) -> None:
        given = list(self.fractions)
        if len(given) < 2 or not all(0 < fraction <= 1 for fraction in given) or given != sorted(set(given)):
            raise InstsegError(f"sweep.fractions={given}: expected two or more, ascending, above 0 and up to 1")

    def points(self, space: Space, setting: Setting) -> list[Point]:
        """Return one point for each fraction.

        Args:
            space: the overrides of the sweep.
            setting: a look into the config for which the points are.
        """
        return [
            Point(f"{part:g}", (f"{TRAIN_FRACTION}={part:g}", *self._epochs(part, setting))) for part in self.fractions
        ]

    def _epochs(self, fraction: float, setting: Setting) -> list[str]:
        epochs, every = setting("trainer.max_epochs"), setting("trainer.check_val_every_n_epoch")
        if not self.same_steps or fraction == 1 or not isinstance(epochs, int) or not isinstance(every, int):
            return []
        if epochs < 1 or every < 1:
            return []
        return [
            f"trainer.max_epochs={round(epochs / fraction)}",
            f"trainer.check_val_every_n_epoch={max(1, round(every / fraction))}",
        ]

    def report(self, records: Sequence[JobRecord], info: SweepInfo, folder: Path) -> list[str]:
        """Draw one curve for each combination of what else was swept, over all seeds, and read it.

        Args:
            records: of all jobs.
            info: what was asked for.
            folder: of the sweep, for the picture.
        """
        curves = curves_of(records)
        if not curves:
            return []
        plot_learning_curves(curves, info, folder / "learning_curve.png")
        lines = [_sentence(others, curve, info, len(curves)) for others, curve in curves.items()]
        return [*lines, f"{'curve:':<16} {folder / 'learning_curve.png'}"]


def _sentence(others: str, curve: Curve, info: SweepInfo, comparisons: int) -> str:
    said = ", ".join(f"{decimals(mean_metric(records))} with {fraction:.0%}" for fraction, records in curve.items())
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
    """Promise no more than the interval allows: on few images, a rise may well be chance."""
    if max(abs(found.low), abs(found.high)) < WORTHWHILE:
        return "It has levelled off: more images of this kind would help little; better ones, or another model, might."
    said = verdict(found.low, found.high, found.num_pairs)
    if not found.is_clear:
        return f"{said} Whether more images like these would help cannot be told yet. {REPEAT}"
    if found.gain < 0:
        return f"{said} It fell: look at the labels of the images that came last."
    return f"{said} It was still rising: more images like these are likely to help."


def plot_learning_curves(curves: Mapping[str, Curve], info: SweepInfo, path: Path) -> None:
    """Draw a line of means for each combination of the other values, with the single jobs around it.

    Args:
        curves: combination of the other values, as a label -> its curve.
        info: what was asked for.
        path: of the PNG, which is written atomically.
    """
    figure = Figure(figsize=(7.2, 4.6), dpi=120, layout="constrained")
    axis = figure.subplots()
    for number, (others, curve) in enumerate(curves.items()):
        means = {100 * fraction: drawable(mean_metric(records)) for fraction, records in curve.items()}
        jobs = [
            (100 * fraction, drawable(r.metric or 0.0))
            for fraction, records in curve.items()
            if records[1:]
            for r in records
        ]
        axis.plot(
            *zip(*means.items(), strict=True),
            "-o",
            color=f"C{number % 10}",
            label=plot_label(others, MAX_LABEL) or None,
            linewidth=1.8,
        )
        axis.plot([x for x, _ in jobs], [y for _, y in jobs], "o", color=f"C{number % 10}", alpha=0.35, markersize=4)
        for place in means.items():
            axis.annotate(decimals(place[1]), place, (0, 8), textcoords="offset points", ha="center", fontsize=9)
    axis.set_xlabel("fraction of the training images (%)")
    axis.set_ylabel(plot_label(info.metric))
    axis.set_title("Would more data help?", loc="left")
    axis.set_xticks(sorted({100 * fraction for curve in curves.values() for fraction in curve}))
    axis.margins(x=0.08, y=0.18)
    axis.grid(alpha=0.3)
    if len(curves) > 1:
        axis.legend(fontsize=9)
    write_png(figure, path)
