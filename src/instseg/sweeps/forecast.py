"""The gain that more labelled images may bring, read from the end of a learning curve."""

from __future__ import annotations

import math
from dataclasses import dataclass

from instseg.core.errors import InstsegError
from instseg.sweeps.changes import change, paired
from instseg.sweeps.curve_points import TRAIN_FRACTION, Curve, curves_of
from instseg.sweeps.records import JobRecord, SweepInfo
from instseg.sweeps.sweep_folder import SweepFolder


@dataclass(frozen=True)
class CurveEnd:
    """The last two points of a learning curve."""

    info: SweepInfo
    smaller: float  # fraction of the training images
    larger: float
    gain: float  # above 0: better
    low: float  # of its interval; NaN where nothing is known
    high: float
    last: JobRecord  # a job of the larger fraction

    def forecast(self, num_images: int, more: int) -> str:
        """Estimate how much more images, chosen at random, would bring if the curve continues.

        The metric is taken to rise by the same amount with each doubling, as it does at the end of most curves; where a
        curve flattens, this is too much.

        Args:
            num_images: labelled images at the larger fraction.
            more: images that may be labelled.
        """
        part = math.log1p(more / num_images) / math.log(self.larger / self.smaller)
        before = round(num_images * self.smaller / self.larger)
        told = f"{self.info.metric} {_signed(self.gain)}{_interval(self.low, self.high)} from {before} to {num_images}"
        expected = f"{_signed(part * self.gain)}{_interval(part * self.low, part * self.high)}"
        condition = "if each doubling brings as much"
        return f"{told} labelled images; {more} more, chosen by chance, about {expected} {condition}"


def curve_end(folder: SweepFolder) -> CurveEnd:
    """Read the end of a learning curve; of several curves, the one with the best last point.

    Args:
        folder: of the sweep.

    Raises:
        InstsegError: the folder is no learning curve, or fewer than two fractions are measured.
    """
    info = folder.read_info()
    if info.strategy != "learning_curve":
        raise InstsegError(f"curve={folder.path}: expected the folder of a sweep=learning_curve, found another sweep")
    curves = [curve for curve in curves_of(folder.records()).values() if len(curve) > 1]
    if not curves:
        raise InstsegError(f"curve={folder.path}: expected two measured fractions or more; resume the sweep first")
    ends = [_end(curve, info) for curve in curves]
    sign = 1 if info.mode == "max" else -1
    return max(ends, key=lambda end: sign * (end.last.metric or 0.0))


def _end(curve: Curve, info: SweepInfo) -> CurveEnd:
    (smaller, before), (larger, last) = list(curve.items())[-2:]
    found = change(paired(last, before, TRAIN_FRACTION) or [(last[0], before[0])], info)
    return CurveEnd(info, smaller, larger, found.gain, found.low, found.high, last[0])


def _signed(gain: float) -> str:
    return f"{gain:+.3f}"


def _interval(low: float, high: float) -> str:
    return f" ({low:+.3f} to {high:+.3f})" if math.isfinite(low) else ""
