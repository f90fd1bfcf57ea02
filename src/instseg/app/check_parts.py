"""A trial of the parts that need no data, so that a wrong value is not found after a long download."""

from __future__ import annotations

from torch import nn

from instseg.app.build_model import remedy_of_training
from instseg.app.build_module import build_optimizer, build_scheduler
from instseg.app.config import RunConfig
from instseg.app.instantiate import build, of_kind
from instseg.app.known_builders import builders_of, model_builder_of
from instseg.data.transforms.augmentation import Augmentation
from instseg.models.known import built_options


def check_parts(config: RunConfig) -> None:
    """Build what needs no data, on something tiny.

    Raises:
        InstsegError: a part refuses its options.
    """
    if not config.resume and config.stage == "fit":
        options = built_options(config.model, builders_of(config.model), "model", load=False)
        builder = model_builder_of(config.model)
        builder.check(options)
        with remedy_of_training():
            builder.check_weights(options)
    of_kind(build(config.augmentation), Augmentation, "augmentation")
    optimizer = build_optimizer(config.optimizer)(nn.Linear(1, 1), 1)
    build_scheduler(config.scheduler)(optimizer, 100)
