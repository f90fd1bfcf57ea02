"""The format of the pre-labels: that of the labels which the model was trained on, where a writer has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from instseg.app.config import NextConfig
from instseg.checkpoints.content import describe
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path
from instseg.data.formats.auto import FORMATS, recognise_format
from instseg.runs.folders import find_checkpoint

AUTO, COCO = "auto", "coco"


def formats_of_pre_labels(config: NextConfig, known: Collection[str]) -> list[str]:
    """Return the names of the writers of pre-labels.

    Args:
        config: of the command.
        known: names of all writers.
    """
    if config.save != AUTO:
        return [config.save] if isinstance(config.save, str) else config.save
    trained_on = _format_of_training(config)
    return [trained_on if trained_on is not None and trained_on in known else COCO]


def _format_of_training(config: NextConfig) -> str | None:
    """Return the name of the format of the training labels; None where it cannot be known any more."""
    if not config.checkpoint:
        return None
    dataset = describe(find_checkpoint(config.checkpoint, absolute_path(config.outputs))).config.get("dataset")
    reader = dataset.get("reader") if isinstance(dataset, Mapping) else None
    if not isinstance(dataset, Mapping) or not isinstance(reader, Mapping):
        return None
    target = str(reader.get("_target_"))
    if target.endswith(".AutoReader"):
        return _recognised(str(dataset.get("root")))
    readers = {f"{kind.__module__}.{kind.__qualname__}": name for name, (_, kind) in FORMATS.items()}
    return readers.get(target)


def _recognised(root: str) -> str | None:
    try:
        return recognise_format(Path(root).expanduser())[0]
    except InstsegError:  # the labels have moved, or were elsewhere
        return None
