"""Checks of options that do not go together, before what would refuse them is loaded.

Imports neither torch nor Lightning.
"""

from __future__ import annotations

from instseg.app.config import Node, RunConfig
from instseg.core.errors import InstsegError
from instseg.models.mask_rcnn_options import BUILDER, check_names, read_groups

FOLDER_OF_LABELS = "instseg.data.sources.folder"
"""The function behind every ``dataset`` that is a folder of the user's own."""


def check_choices(config: RunConfig) -> None:
    """Check the sizes of images, and the options of data, network and device that are ours.

    Raises:
        InstsegError: the first that cannot work.
    """
    check_sizes(config.augmentation.get("min_size"), config.augmentation.get("max_size"), "augmentation.")
    if config.trainer.accelerator == "cpu":
        check_precision(config, on_gpu=False)
    if config.model.get("_target_") == BUILDER:
        _check_network(config.model)
    if config.dataset.get("_target_") == FOLDER_OF_LABELS:
        from instseg.data.sources import checked_options  # all readers are imported here

        checked_options(config.dataset)


def check_precision(config: RunConfig, on_gpu: bool) -> None:
    """Check that a training in float16 has a GPU.

    Args:
        config: of the run.
        on_gpu: whether it trains on one.

    Raises:
        InstsegError: it has none.
    """
    if str(config.trainer.precision).startswith("16") and not on_gpu:
        there = "with trainer.accelerator=cpu" if config.trainer.accelerator == "cpu" else "on CPU"
        raise InstsegError(
            f"trainer.precision={config.trainer.precision} needs a GPU; {there} use 32-true or bf16-mixed"
        )


def check_sizes(min_size: object, max_size: object, group: str = "") -> None:
    """Check that the shorter side of an image is not meant to be larger than the longer one.

    Args:
        min_size: px of the shorter side.
        max_size: px that the longer side may have.
        group: of both keys, with a dot at its end.

    Raises:
        InstsegError: it is.
    """
    if isinstance(min_size, int) and isinstance(max_size, int) and min_size > max_size:
        raise InstsegError(f"{group}min_size={min_size}: expected at most {group}max_size={max_size}; raise that too")


def _check_network(model: Node) -> None:
    check_names(model.get("backbone"), model.get("variant", "v1"), model.get("norm", "auto"))
    read_groups(*(model.get(key, {}) for key in ("anchors", "rpn", "box", "mask")))
