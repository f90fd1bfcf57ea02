"""The methods that are timed, and the part of the network that each of them is.

For any segmenter whole passes are timed; a network that is known here is divided further.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from types import MethodType
from typing import ParamSpec, TypeVar

from torch import nn

from instseg.models.mask_rcnn import MaskRCNN
from instseg.profiling import profile as part
from instseg.profiling.recorder import Recorder
from instseg.training.module import InstanceSegmentationModule

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Timed = tuple[nn.Module | Callable[..., object], str]
"""A module or a bound method whose calls are timed, and the part that it is."""


def parts_of(module: InstanceSegmentationModule) -> list[Timed]:
    """Return the timed methods, outer before inner ones; the time of a part excludes the parts within it."""
    model, metrics = module.model, module.metrics
    whole: list[Timed] = [(model.losses, part.REST), (model.losses_and_predictions, part.REST)]
    inner = parts_of_mask_rcnn(model) if isinstance(model, MaskRCNN) else []
    return [*whole, *inner, (metrics.update, part.UPDATE), (metrics.compute, part.COMPUTE)]


def parts_of_mask_rcnn(model: MaskRCNN) -> list[Timed]:
    """Return the parts of Mask R-CNN: the one list to keep in step with its code."""
    rpn, heads = model.rpn, model.roi_heads
    return [
        (model.transform, part.NORMALIZE),
        (model.backbone, part.BACKBONE),
        (rpn, part.PROPOSALS),  # what is left of it without the next three
        (rpn.head, part.RPN_HEAD),
        (rpn.assign_targets_to_anchors, part.ANCHOR_MATCHING),
        (rpn.losses, part.RPN_LOSSES),
        (heads.sample, part.SAMPLING),
        (heads.box_roi_pool, part.BOX_ALIGN),
        (heads.box_head, part.BOX_HEAD),
        (heads.box_predictor, part.BOX_HEAD),
        (heads.mask_roi_pool, part.MASK_ALIGN),
        (heads.mask_head, part.MASK_HEAD),
        (heads.mask_predictor, part.MASK_HEAD),
        (heads.losses, part.LOSSES),
        (heads.postprocess_detections, part.DETECTIONS),
        (model.to_predictions, part.PASTE),
    ]


def time_parts(module: InstanceSegmentationModule, recorder: Recorder) -> ExitStack:
    """Announce every call of a part to the recorder, until the returned stack is closed.

    Args:
        module: the module that is trained.
        recorder: gets a range for each call.
    """
    undo = ExitStack()
    for timed, name in parts_of(module):
        if isinstance(timed, nn.Module):
            compiled = timed._compiled_call_impl is not None  # then what runs is not its forward
            _time(timed, "_compiled_call_impl" if compiled else "forward", name, recorder, undo)
        else:
            owner, method = _owner_and_name(timed)
            _time(owner, method, name, recorder, undo)
    return undo


def _owner_and_name(method: Callable[..., object]) -> tuple[object, str]:
    if not isinstance(method, MethodType):
        raise TypeError(f"{method!r} is no bound method")
    return method.__self__, method.__name__


def _time(owner: object, method: str, name: str, recorder: Recorder, undo: ExitStack) -> None:
    """Replace ``owner.method`` by a timed one."""
    original = getattr(owner, method)
    if method in vars(owner):
        undo.callback(setattr, owner, method, original)
    else:
        undo.callback(delattr, owner, method)
    setattr(owner, method, _timed(original, name, recorder))


def _timed(original: Callable[Arguments, Result], name: str, recorder: Recorder) -> Callable[Arguments, Result]:
    @wraps(original)
    def timed(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with recorder.range(name):
            return original(*args, **kwargs)

    return timed
