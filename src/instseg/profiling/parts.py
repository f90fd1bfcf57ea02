"""Which method is which part of the network: the one list to follow where the model's code changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from operator import attrgetter
from typing import Any

from torch import nn

import instseg.training.module
from instseg.profiling import profile as part
from instseg.profiling.recorder import Recorder
from instseg.training.module import InstanceSegmentationModule

PARTS = {  # below the LightningModule; of a module, its forward
    "model.transform": part.NORMALIZE,
    "model.backbone": part.BACKBONE,
    "model.rpn": part.PROPOSALS,  # what is left of it without the next three
    "model.rpn.head": part.RPN_HEAD,
    "model.rpn.assign_targets_to_anchors": part.ANCHOR_MATCHING,
    "model.rpn.losses": part.RPN_LOSSES,
    "model.roi_heads.sample": part.SAMPLING,
    "model.roi_heads.box_roi_pool": part.BOX_ALIGN,
    "model.roi_heads.box_head": part.BOX_HEAD,
    "model.roi_heads.box_predictor": part.BOX_HEAD,
    "model.roi_heads.mask_roi_pool": part.MASK_ALIGN,
    "model.roi_heads.mask_head": part.MASK_HEAD,
    "model.roi_heads.mask_predictor": part.MASK_HEAD,
    "model.roi_heads.losses": part.LOSSES,
    "model.roi_heads.postprocess_detections": part.DETECTIONS,
    "model": part.REST,
    "metrics.update": part.UPDATE,
    "metrics.compute": part.COMPUTE,
}
POSTPROCESS = "detections_to_predictions"  # what the LightningModule's file calls it


def time_parts(module: InstanceSegmentationModule, recorder: Recorder) -> ExitStack:
    """Announce every call of a part to the recorder, until the returned stack is closed.

    Raises AttributeError for a part that the model does not have.
    """
    undo = ExitStack()
    for path, name in PARTS.items():
        found = attrgetter(path)(module)
        if isinstance(found, nn.Module):
            compiled = found._compiled_call_impl is not None  # then what runs is not its forward
            _time(found, "_compiled_call_impl" if compiled else "forward", name, recorder, undo)
        else:
            owner, _, method = path.rpartition(".")
            _time(attrgetter(owner)(module), method, name, recorder, undo)
    _time(instseg.training.module, POSTPROCESS, part.PASTE, recorder, undo)
    return undo


def _time(owner: Any, method: str, name: str, recorder: Recorder, undo: ExitStack) -> None:
    """Put a timed one in the place of ``owner.method``."""
    original: Callable[..., Any] = getattr(owner, method)

    @wraps(original)
    def timed(*args: Any, **kwargs: Any) -> Any:
        with recorder.range(name):
            return original(*args, **kwargs)

    if method in vars(owner):
        undo.callback(setattr, owner, method, original)
    else:
        undo.callback(delattr, owner, method)
    setattr(owner, method, timed)
