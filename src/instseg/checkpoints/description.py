"""What a checkpoint says about itself: its entry ``instseg``, read at this one place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec
from torch import Tensor

from instseg.checkpoints.random_states import RandomStates
from instseg.core.records import Record, convert_record

ENTRY = "instseg"
FORMAT = 2
"""2: what a training needs to resume exactly lies beside what describes the model. 1 predicts, and cannot resume."""


class Preprocessing(msgspec.Struct, frozen=True):
    """The resize that the network was trained with."""

    min_size: float  # px of the shorter side
    max_size: float  # px that the longer side may have


class TrainingState(msgspec.Struct, frozen=True):
    """Where a training stands, as far as Lightning does not save it."""

    epochs: int  # done
    batches: int  # done in the epoch after them
    processes: int
    validation_due: bool
    logged_steps: int
    is_stopped: bool
    metrics: dict[str, Tensor]  # logged last
    random: list[RandomStates]  # state of each rank
    events: dict[str, int]  # file of TensorBoard to its size, bytes


class CheckpointDescription(Record, frozen=True):
    """The content of the entry. In the file ``version`` is called ``format``, and ``written_by`` is ``version``."""

    VERSION: ClassVar[int] = FORMAT
    READABLE: ClassVar[tuple[int, ...]] = (1,)
    written_by: str  # version of instseg
    categories: list[str]
    preprocessing: Preprocessing
    config: dict[str, object]  # resolved
    packages: dict[str, str] = msgspec.field(default_factory=dict)
    data_fingerprint: str = ""
    metrics: dict[str, float] = msgspec.field(default_factory=dict)  # of the last validation
    training: TrainingState | None = None  # None where a training cannot resume from here

    @property
    def model_config(self) -> dict[str, object]:
        """``_target_`` and options of the network."""
        return _section(self.config, "model")

    @property
    def monitor(self) -> object:
        """Name of the metric that decides which checkpoint is the best."""
        return _section(self.config, "monitor").get("metric")


def read_description(checkpoint: Mapping[str, object], path: Path) -> CheckpointDescription:
    """Read what a checkpoint says about itself.

    Args:
        checkpoint: as ``load_checkpoint`` returns it.
        path: its file, for messages.

    Raises:
        RecordError: it does not say what every checkpoint of this package says.
    """
    entry = checkpoint[ENTRY]
    if isinstance(entry, Mapping):
        entry = {**entry, "version": entry.get("format", 1), "written_by": entry.get("version")}
    remedy = "use another checkpoint, or start a training from its weights with model.weights=PATH"
    return convert_record(entry, CheckpointDescription, f"{path}, entry {ENTRY}", remedy)


def as_entry(description: CheckpointDescription) -> dict[str, object]:
    """Return the entry as plain containers, in the form in which it lies in the file."""
    entry = msgspec.structs.asdict(description)
    entry |= {"format": FORMAT, "version": entry.pop("written_by")}
    entry["preprocessing"] = msgspec.structs.asdict(description.preprocessing)
    if description.training is None:
        del entry["training"]
    else:
        entry["training"] = plain_training(description.training)
    return entry


def add_to_entry(checkpoint: dict[str, object], more: Mapping[str, object]) -> None:
    """Add keys to the entry; several callbacks do, each its own, in any order.

    Args:
        checkpoint: that is about to be saved.
        more: plain containers and tensors.
    """
    entry = checkpoint.setdefault(ENTRY, {})
    assert isinstance(entry, dict)
    entry.update(more)


def plain_training(training: TrainingState) -> dict[str, object]:
    """Return the state of a training as plain containers and tensors."""
    plain: dict[str, object] = msgspec.to_builtins(training, builtin_types=(Tensor,))
    return plain


def _section(config: Mapping[str, object], name: str) -> dict[str, object]:
    section = config.get(name)
    return {str(key): value for key, value in section.items()} if isinstance(section, Mapping) else {}
