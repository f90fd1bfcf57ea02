"""Checkpoints that describe their network, and networks that are rebuilt from them.

A checkpoint is Lightning's own with one more entry, ``instseg``: plain containers that suffice to rebuild the network
and its preprocessing, so that the file alone predicts. Nothing in it chooses code: the builder of the network is looked
up by its name among those that the caller knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from instseg import __version__
from instseg.checkpoints.description import (
    CheckpointDescription,
    Preprocessing,
    StepCounts,
    add_to_entry,
    as_entry,
    read_description,
    read_step_counts,
    read_weights,
    section,
)
from instseg.checkpoints.files import load_checkpoint
from instseg.checkpoints.operating_points import OperatingPoints
from instseg.checkpoints.scales import Scales
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.records import convert_plain
from instseg.core.segmenter import InstanceSegmenter, as_module
from instseg.core.types import ValueRange
from instseg.models.builder import options_of, with_overrides
from instseg.models.known import OWN_BUILDERS, Builders, build_network, find_builder
from instseg.runs.environment import package_versions

MODEL_PREFIX = "model."


def finite(metrics: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the logged values as floats, without those that are undefined because there is no such ground truth."""
    numbers = {name: float(value) for name, value in metrics.items()}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


class DescribeCheckpoint(Callback):
    """Callback that adds the entry ``instseg`` to every checkpoint.

    Args:
        categories: of the training data.
        config: the resolved config as plain containers.
        data_fingerprint: of the training data.
        operating_points: returns those of the last validation.
        scales: of the training images.
        value_range: of the training images of 16 bits, given or found.
    """

    def __init__(
        self,
        categories: Categories,
        config: Mapping[str, object],
        data_fingerprint: str = "",
        operating_points: Callable[[], OperatingPoints | None] = lambda: None,
        scales: Scales | None = None,
        value_range: ValueRange | None = None,
    ) -> None:
        self.categories, self.config, self.data_fingerprint = categories, dict(config), data_fingerprint
        self._operating_points, self._scales, self._value_range = operating_points, scales, value_range
        self._packages = package_versions()

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, object]) -> None:
        """Add the entry."""
        remedy = "a config of augmentation has both, see conf/augmentation"
        description = CheckpointDescription(
            written_by=__version__,
            packages=self._packages,
            categories=list(self.categories.names),
            preprocessing=convert_plain(self._preprocessing(), Preprocessing, "augmentation", remedy),
            config=self.config,
            data_fingerprint=self.data_fingerprint,
            metrics=finite(trainer.callback_metrics),
            operating_points=self._operating_points(),
            scales=self._scales,
        )
        add_to_entry(checkpoint, as_entry(description))

    def _preprocessing(self) -> dict[str, object]:
        return {**section(self.config, "augmentation"), "value_range": self._value_range}


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained network with its preprocessing."""

    model: InstanceSegmenter
    min_size: int  # px of the shorter side in the network frame
    max_size: int  # px that the longer side may have there
    config: dict[str, object]
    identity: dict[str, object] = field(default_factory=dict)
    """Checkpoint, run, epoch and how good it was, to stand beside its predictions."""
    operating_points: OperatingPoints | None = None
    value_range: ValueRange | None = None
    """Of images of 16 bits, see ``read_image``."""
    scales: Scales | None = None
    """At which its training saw its images."""

    @property
    def categories(self) -> Categories:
        """Names of its labels 1…."""
        return self.model.categories


def load_trained_model(
    path: Path, overrides: Mapping[str, object] | None = None, builders: Builders = OWN_BUILDERS
) -> TrainedModel:
    """Rebuild the network of a checkpoint with its weights, in evaluation mode, on the CPU.

    Args:
        path: the checkpoint.
        overrides: options of the model, such as {"box.score_threshold": 0.01}; those that only matter in prediction
            take the place of the checkpoint's, others must agree with it.
        builders: builders that the checkpoint may name, besides those of this package.

    Returns:
        The network with its preprocessing.

    Raises:
        InstsegError: the file is missing, damaged or of a later version, its model is not known, or an override names
            no option of it or one that cannot change after training.
    """
    checkpoint = load_checkpoint(path)
    description = read_description(checkpoint, path)
    stored, source = description.model_config, str(path)
    changeable = find_builder(stored, builders, source).prediction_options
    options = stored | with_overrides(options_of(stored), overrides or {}, changeable)
    model = build_network(options, Categories(tuple(description.categories)), builders, source, load=False)
    network = as_module(model)
    _load_weights(network, read_weights(checkpoint, path), path)
    network.eval()
    seen, config = description.preprocessing, {**description.config, "model": options}
    origin = describe_origin(path, read_step_counts(checkpoint, path), description)
    points, sizes = description.operating_points, (int(seen.min_size), int(seen.max_size))
    return TrainedModel(model, *sizes, config, origin, points, seen.value_range, description.scales)


def _load_weights(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    own = {key.removeprefix(MODEL_PREFIX): value for key, value in state.items() if key.startswith(MODEL_PREFIX)}
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        first = " ".join(str(error).splitlines()[:4])  # one line for each tensor
        raise InstsegError(f"{path}: its weights do not fit the model that it describes: {first}") from error


def describe(path: Path) -> CheckpointDescription:
    """Return what a checkpoint says about itself; its tensors are not read.

    Raises:
        InstsegError: the file is missing, damaged or of a later version.
    """
    return read_description(load_checkpoint(path, mmap=True, verify_tensors=False), path)


def describe_origin(path: Path, counts: StepCounts, description: CheckpointDescription) -> dict[str, object]:
    """Describe the origin of predictions.

    Args:
        path: the checkpoint.
        counts: its epoch and step.
        description: its description of itself.

    Returns:
        Path, run (dataset_model/date_time), epoch (from 1), steps done, and the metric that was watched.
    """
    run_dir = description.config.get("run_dir")
    return {
        "checkpoint": str(path.absolute()),
        "run": "/".join(Path(run_dir).parts[-2:]) if isinstance(run_dir, str) else None,
        "epoch": None if counts.epoch is None else counts.epoch + 1,  # as the terminal counts them
        "step": counts.global_step,
        "metrics": {name: value for name, value in description.metrics.items() if name == description.monitor},
        "trained_with": description.written_by,
    }
