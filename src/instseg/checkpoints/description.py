"""The description of a checkpoint by itself: its entry ``instseg``, and the other parts that are read back, typed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from torch import Tensor

from instseg.checkpoints.operating_points import OperatingPoints
from instseg.checkpoints.random_states import RandomStates
from instseg.checkpoints.scales import Scales
from instseg.core.records import Record, convert_plain, convert_record
from instseg.core.types import ValueRange

ENTRY, WEIGHTS = "instseg", "state_dict"
TRAINING = "training"  # part of the entry, in a checkpoint to resume from
FORMAT = 2
"""2: what a training needs to resume exactly lies beside what describes the model. 1 predicts, and cannot resume."""
REMEDY = "use another checkpoint, or start a training from its weights with model.weights=PATH"


Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Side = Annotated[float, msgspec.Meta(ge=1, le=2**16)]
"""A side of an image, px."""
MAX_CATEGORIES = 2**15 - 1
"""As many as an index has labels."""


class Preprocessing(msgspec.Struct, frozen=True):
    """The preparation of images for the network in training."""

    min_size: Side  # px of the shorter side
    max_size: Side  # px that the longer side may have
    value_range: ValueRange | None = None  # of images of 16 bits; None: each by the range that it uses


class TrainingState(msgspec.Struct, frozen=True):
    """The state of a training that Lightning does not save."""

    epochs: Count  # done
    batches: Count  # done in the epoch after them
    processes: Annotated[int, msgspec.Meta(ge=1)]
    validation_due: bool
    logged_steps: Count
    is_stopped: bool
    metrics: dict[str, Tensor]  # logged last
    random: list[RandomStates]  # state of each rank
    events: dict[str, Count]  # file of TensorBoard to its size, bytes


class CheckpointDescription(Record, frozen=True):
    """The content of the entry. In the file ``version`` is called ``format``, and ``written_by`` is ``version``."""

    VERSION: ClassVar[int] = FORMAT
    READABLE: ClassVar[tuple[int, ...]] = (1,)
    written_by: str  # version of instseg
    categories: Annotated[list[str], msgspec.Meta(max_length=MAX_CATEGORIES)]
    preprocessing: Preprocessing
    config: dict[str, object]  # resolved
    packages: dict[str, str] = msgspec.field(default_factory=dict)
    data_fingerprint: str = ""
    metrics: dict[str, float] = msgspec.field(default_factory=dict)  # of the last validation
    operating_points: OperatingPoints | None = None  # of the last validation
    scales: Scales | None = None  # of the training images
    training: TrainingState | None = None  # None where a training cannot resume from here

    @property
    def model_config(self) -> dict[str, object]:
        """``_target_`` and options of the network."""
        return section(self.config, "model")

    @property
    def monitor(self) -> object:
        """Name of the metric that decides which checkpoint is the best."""
        return section(self.config, "monitor").get("metric")


class StepCounts(msgspec.Struct, frozen=True):
    """Lightning's counts in a checkpoint, both from 0; None in one that no trainer wrote."""

    epoch: int | None = None
    global_step: int | None = None


def read_description(checkpoint: Mapping[str, object], path: Path) -> CheckpointDescription:
    """Read what a checkpoint says about itself.

    Args:
        checkpoint: as ``load_checkpoint`` returns it.
        path: its file, for messages.

    Returns:
        Its entry, typed.

    Raises:
        RecordError: it does not say what every checkpoint of this package says.
    """
    entry = checkpoint[ENTRY]
    if isinstance(entry, Mapping):
        entry = {**entry, "version": entry.get("format", 1), "written_by": entry.get("version")}
    return convert_record(entry, CheckpointDescription, f"{path}, entry {ENTRY}", REMEDY)


def read_weights(checkpoint: Mapping[str, object], path: Path) -> dict[str, Tensor]:
    """Read the weights of a checkpoint.

    Args:
        checkpoint: as ``load_checkpoint`` returns it.
        path: its file, for messages.

    Returns:
        Name in the training module, such as ``model.backbone.body.conv1.weight``, to tensor.

    Raises:
        RecordError: it holds no tensors by name.
    """
    return convert_plain(checkpoint.get(WEIGHTS), dict[str, Tensor], f"{path}, entry {WEIGHTS}", REMEDY)


def read_step_counts(checkpoint: Mapping[str, object], path: Path) -> StepCounts:
    """Read how far the training of a checkpoint was.

    Args:
        checkpoint: as ``load_checkpoint`` returns it.
        path: its file, for messages.

    Returns:
        Epoch and step.

    Raises:
        RecordError: one of them is no number.
    """
    return convert_plain(checkpoint, StepCounts, str(path), REMEDY)


def read_callback_states(checkpoint: Mapping[str, object], path: Path) -> dict[str, object]:
    """Read the states of the callbacks.

    Args:
        checkpoint: as ``load_checkpoint`` returns it.
        path: its file, for messages.

    Returns:
        Lightning's key of a callback to its state.

    Raises:
        RecordError: it holds no such mapping.
    """
    return convert_plain(checkpoint.get("callbacks"), dict[str, object], f"{path}, entry callbacks", REMEDY)


def as_entry(description: CheckpointDescription) -> dict[str, object]:
    """Return the entry as plain containers, in the form in which it lies in the file."""
    entry = msgspec.structs.asdict(description)
    entry |= {"format": FORMAT, "version": entry.pop("written_by")}
    entry["preprocessing"] = msgspec.structs.asdict(description.preprocessing)
    entry["scales"] = msgspec.to_builtins(description.scales)
    entry["operating_points"] = msgspec.to_builtins(description.operating_points)
    if description.training is None:
        del entry[TRAINING]
    else:
        entry[TRAINING] = plain_training(description.training)
    return entry


def add_to_entry(checkpoint: dict[str, object], more: Mapping[str, object]) -> None:
    """Add keys to the entry; several callbacks do, each its own, in any order.

    Args:
        checkpoint: the content that is about to be saved; changed in place.
        more: plain containers and tensors.
    """
    entry = checkpoint.setdefault(ENTRY, {})
    assert isinstance(entry, dict)
    entry.update(more)


def plain_training(training: TrainingState) -> dict[str, object]:
    """Return the state of a training as plain containers and tensors."""
    plain: dict[str, object] = msgspec.to_builtins(training, builtin_types=(Tensor,))
    return plain


def section(config: Mapping[str, object], name: str) -> dict[str, object]:
    """Return a section of a config; empty where it is none.

    Args:
        config: resolved.
        name: of the section, such as ``model``.
    """
    found = config.get(name)
    return {str(key): value for key, value in found.items()} if isinstance(found, Mapping) else {}
