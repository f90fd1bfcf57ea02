"""The settings of a run that decide which objects can be learnt, for the audit of its data."""

from __future__ import annotations

from pathlib import PurePosixPath

import msgspec

from instseg.app.config import Node, RunConfig
from instseg.app.job import Job
from instseg.app.known_builders import model_builder_of
from instseg.auditing.audit_options import AuditOptions
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path
from instseg.models.builder import options_of


def build_audit_options(config: RunConfig, job: Job) -> AuditOptions:
    """Collect the settings of the run that decide which objects can be learnt.

    Args:
        config: of the run.
        job: of this process, which knows the network by the name that was chosen.
    """
    (min_size, max_size), limits = resize_of(config), model_builder_of(config.model).limits(options_of(config.model))
    return AuditOptions(
        min_size=min_size,
        max_size=max_size,
        limits=limits,
        exif_is_given=config.dataset.get("exif", "auto") != "auto",
        network=f"model={job.model}" if job.model else "this network",
    )


def resize_of(config: RunConfig) -> tuple[int, int]:
    """Return the px of the shorter side in the network frame, and those that the longer side may have there."""
    sizes = _typed(config.augmentation)
    return sizes.min_size, sizes.max_size


def dataset_name(config: RunConfig) -> str:
    """Return what a person calls the data: the name of the folder with the labels, else that of the dataset."""
    root, name = config.dataset.get("root"), str(config.dataset.get("name"))
    if not isinstance(root, str) or config.dataset.get("sources"):
        return name
    is_elsewhere = "://" in root and not root.startswith("file://")
    return PurePosixPath(root).name if is_elsewhere else absolute_path(root.removeprefix("file://")).name or name


class _Sizes(msgspec.Struct):
    min_size: int
    max_size: int


def _typed(node: Node) -> _Sizes:
    try:
        return msgspec.convert(node, _Sizes)
    except msgspec.ValidationError as error:
        raise InstsegError(f"{node.get('_target_')}: {error}") from error
