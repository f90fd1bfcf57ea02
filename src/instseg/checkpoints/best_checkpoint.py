"""``best.ckpt``: the weights of the best validation, by Lightning's ModelCheckpoint under our rule."""

from __future__ import annotations

import logging
import math

from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from instseg.training.best import is_best

log = logging.getLogger(__name__)


class BestCheckpoint(ModelCheckpoint):
    """Keeper of the best weights; of the newest ones as long as the monitored metric is undefined, with a warning."""

    @property
    def state_key(self) -> str:
        """Name of its state in a checkpoint: the one that runs before this class have written."""
        return super().state_key.replace(type(self).__name__, ModelCheckpoint.__name__, 1)

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Tell whether this validation is the best, on all ranks alike.

        Args:
            trainer: of the run.
            current: value of the monitored metric, ``()``.
        """
        if current is None:
            return False
        value = float(current)
        best = float(self.best_k_models.get(self.kth_best_model_path, math.nan))
        if not math.isfinite(value):
            self._warn(is_best(value, best, self.mode))
        return bool(trainer.strategy.reduce_boolean_decision(is_best(value, best, self.mode)))

    @rank_zero_only
    def _warn(self, is_kept: bool) -> None:
        kept = "best.ckpt holds these, the newest weights" if is_kept else "best.ckpt stays as it is"
        log.warning(
            "%s is undefined, as nothing in the validation images can be measured by it: %s", self.monitor, kept
        )
