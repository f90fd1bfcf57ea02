"""States of callbacks in a checkpoint, and averages of weights, under the settings of now."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import cast

from pytorch_lightning import Callback, LightningModule
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from instseg.runs.differences import Differences

log = logging.getLogger(__name__)

CURRENT, AVERAGE, WEIGHTS = "current_model_state", "averaging_state", "state_dict"
"""Entries of Lightning's WeightAveraging: the trained weights, counts of their average, and the average itself."""


def keep_settings(states: Mapping[str, object], callbacks: Iterable[Callback], found: Differences) -> None:
    """Give states the settings of now where these have changed: EarlyStopping, for one, restores its patience.

    Args:
        states: Lightning's key of a callback to its state; changed in place.
        callbacks: of the resumed training, with the settings of now.
        found: differences between the configs of then and now.
    """
    changed = {key.rpartition(".")[2] for key in found if key.startswith("callbacks.")}
    for callback in callbacks:
        state = states.get(callback.state_key)
        if isinstance(state, dict):
            state.update({name: getattr(callback, name) for name in changed & state.keys() if hasattr(callback, name)})


def drop_average_of_others(
    checkpoint: dict[str, object],
    states: Mapping[str, object],
    callbacks: Iterable[Callback],
    module: LightningModule,
) -> None:
    """Resume from the trained weights where no callback of now has made the average of a checkpoint.

    Args:
        checkpoint: whose weights, the average, Lightning has loaded; changed in place.
        states: Lightning's key of a callback to its state.
        callbacks: of the resumed training.
        module: that is trained.
    """
    averages = [callback for callback in callbacks if isinstance(callback, WeightAveraging)]
    if CURRENT not in checkpoint or any(callback.state_key in states for callback in averages):
        return
    checkpoint.pop(AVERAGE, None)
    checkpoint[WEIGHTS] = checkpoint.pop(CURRENT)
    module.load_state_dict(cast("dict[str, Tensor]", checkpoint[WEIGHTS]))
    rank_zero_only(log.info)("The average in the checkpoint is dropped, and its trained weights are resumed")
