"""Early stopping that waits where the monitored metric is undefined."""

from __future__ import annotations

import pytorch_lightning.callbacks
import torch
from torch import Tensor


class EarlyStopping(pytorch_lightning.callbacks.EarlyStopping):
    """Stop of a training whose monitored metric has not improved for a while.

    With ``check_finite=false`` Lightning's own counts a validation whose metric is undefined as one without
    improvement, and ends a training of which nothing is known. Here such a validation counts as none.
    """

    def _evaluate_stopping_criteria(self, current: Tensor) -> tuple[bool, str | None]:
        if not self.check_finite and not torch.isfinite(current):
            return False, None
        return super()._evaluate_stopping_criteria(current)
