"""A trial of the parts that need no data, so that a wrong value is not found after a long download."""

from __future__ import annotations

from torch import nn

from instseg.app.build import build, build_optimizer, build_scheduler, of_kind
from instseg.app.config import RunConfig
from instseg.data.transforms.augmentation import Augmentation
from instseg.models.mask_rcnn import check_options


def check_parts(config: RunConfig) -> None:
    """Build what needs no data, on something tiny.

    Raises:
        InstsegError: a part refuses its options.
    """
    options = {key: value for key, value in config.model.items() if key not in ("_target_", "suggested")}
    if not config.resume and config.stage == "fit":
        check_options(**options)
    of_kind(build(config.augmentation), Augmentation, "augmentation")
    optimizer = build_optimizer(config.optimizer)(nn.Linear(1, 1), 1)
    build_scheduler(config.scheduler)(optimizer, 100)
