"""A curve of costs: what grows, the measured points, the order fitted to them and the order that is expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUM_FITTED = 3  # of the largest sizes: below, what is the same for all sizes hides the rest
SLACK = 0.3  # of an exponent: what noise and caches make of it
NEGLIGIBLE = {"s": 0.01, "MB": 8.0}  # at the largest size, the order of which then says nothing
FINEST = {"s": 0.001, "MB": 1.0}  # what timers and allocators can tell apart
AXES = {"side": "pixels of an image", "instances": "instances an image"}


@dataclass(frozen=True)
class Curve:
    """Seconds and MB of a stage at growing sizes of one thing."""

    stage: str
    grows: str  # a field of ``Setup``
    sizes: Sequence[float]  # pixels where the side of images grows
    seconds: Sequence[float]
    megabytes: Sequence[float]
    time_order: float  # the exponent that is expected
    memory_order: float

    @property
    def axis(self) -> str:
        return AXES.get(self.grows, self.grows)

    def range(self) -> str:
        return f"{self.sizes[0]:,.0f} to {self.sizes[-1]:,.0f}"

    def told(self) -> str:
        """All points, the fitted orders behind them."""
        return ", ".join(self._told(values, unit) for values, unit in ((self.seconds, "s"), (self.megabytes, "MB")))

    def _told(self, values: Sequence[float], unit: str) -> str:
        order = self.order(values, unit)
        listed = " / ".join(f"{value:.2g}" if value < 10 else f"{value:.0f}" for value in values)
        return f"{listed} {unit}" + ("" if order is None else f" (order {order:.2f})")

    def order(self, values: Sequence[float], unit: str) -> float | None:
        """None where the costs are negligible at all sizes."""
        if values[-1] < NEGLIGIBLE[unit]:
            return None
        costs = np.maximum(values[-NUM_FITTED:], FINEST[unit])
        return float(np.polyfit(np.log(self.sizes[-NUM_FITTED:]), np.log(costs), 1)[0])

    @property
    def excess(self) -> float:
        """By how much an order exceeds what is expected at most; below 0 where none does."""
        found = (self.order(self.seconds, "s"), self.time_order), (self.order(self.megabytes, "MB"), self.memory_order)
        return max((order - expected for order, expected in found if order is not None), default=-math.inf)

    @property
    def is_too_fast(self) -> bool:
        return self.excess > SLACK
