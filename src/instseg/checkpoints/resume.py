"""Resuming a training: the checkpoint that it resumes from, and what has changed since that was written."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only

from instseg import __version__
from instseg.checkpoints.description import CheckpointDescription, TrainingState, read_description
from instseg.checkpoints.event_files import rewind_event_files
from instseg.checkpoints.files import DamagedCheckpointError, load_checkpoint
from instseg.core.atomic import remove_scratch
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.runs.differences import ABSENT, CHANGES_NOTHING, Differences, differences, in_words
from instseg.runs.environment import package_versions
from instseg.runs.folders import saved_states

log = logging.getLogger(__name__)

SHAPES_EPOCHS = (
    "batch_size", "overfit_images", "train_fraction", "seed", "trainer.accumulate_grad_batches",
    "trainer.limit_train_batches", "repeat_threshold", "data", "processes",
)  # fmt: skip
"""With another of these the middle of an epoch is another place."""

NEW_AND_OFF = (ABSENT, None)
"""An option that there was not when the checkpoint was written, and that changes nothing now."""


@dataclass(frozen=True, slots=True)
class Resumable:
    """The newest good checkpoint of a run: its file, and what it says about itself."""

    path: Path
    description: CheckpointDescription

    @property
    def training(self) -> TrainingState:
        """The place in the training.

        Raises:
            InstsegError: the format of the checkpoint is one that does not hold it.
        """
        about = self.description
        if about.training is None:
            raise InstsegError(
                f"{self.path} holds no state of a training to resume from: it is a best.ckpt, or of an early format "
                f"(instseg {about.written_by}, format {about.version}). Its weights can be used: "
                f"model.weights={self.path}"
            )
        return about.training


def find_resumable(run_dir: Path) -> Resumable | None:
    """Return the last checkpoint of a run, or the one before it where that is damaged; None where there is none yet.

    Raises:
        InstsegError: all are damaged.
    """
    damages = []
    for path in saved_states(run_dir):
        try:
            description = read_description(load_checkpoint(path, mmap=True), path)
        except DamagedCheckpointError as error:
            damages.append(str(error))
            continue
        if damages:
            rank_zero_only(log.warning)("%s. Resuming from %s", damages[0], path.name)
        return Resumable(path, description)
    if damages:
        raise InstsegError("there is nothing left to resume from: " + "; ".join(damages))
    return None


def check_resumable(
    resumable: Resumable,
    categories: Categories,
    config: Mapping[str, object],
    data_fingerprint: str,
    processes: int,
    resolved: Collection[str] = (),
) -> None:
    """Warn where a resumed training will not end like one without interruption.

    Args:
        resumable: the checkpoint.
        categories: of the data set now.
        config: the resolved config now.
        data_fingerprint: of the training data now.
        processes: number of ranks now.
        resolved: options of the model that the checkpoint holds with the values that were decided when it was built.

    Raises:
        InstsegError: the training cannot resume from there; with the difference.
    """
    about, training = resumable.description, resumable.training
    Categories(tuple(about.categories)).check_same(categories, "checkpoint", "dataset")
    found = differences(about.config, config, CHANGES_NOTHING)
    found = {key: both for key, both in found.items() if both != NEW_AND_OFF}
    for option in resolved:
        found.pop(f"model.{option}", None)
    _check_same_network(found)
    _check_same_optimizer(found, resumable.path)
    _check_same_monitor(found, resumable.path)
    then = {"data": about.data_fingerprint, "processes": training.processes, "instseg": about.written_by}
    now = {"data": data_fingerprint, "processes": processes, "instseg": __version__}
    found |= differences(then | about.packages, now | package_versions())
    _check_same_place(found, training)
    _check_end(config, training)
    if found:
        rank_zero_only(log.warning)(
            "Not everything is as it was, so this will not end exactly like a run without interruption: %s",
            in_words(found, "the checkpoint"),
        )


def _check_same_optimizer(found: Differences, path: Path) -> None:
    """Refuse the state of one optimizer for another; other settings of the same one are applied."""
    names = found.get("optimizer._target_", ())
    then, now = (str(name).rpartition(".")[2] for name in names) if names else ("", "")
    if then != now:  # its module may be another one since
        raise InstsegError(
            f"the checkpoint to resume has the state of another optimizer: {then} in the checkpoint, {now} now. Resume "
            f"with the same one, or start a new run from its weights: model.weights={path}"
        )


def _check_same_monitor(found: Differences, path: Path) -> None:
    """Refuse another monitored metric: it would compare new validations with values of the old one, or with none."""
    if moved := _changed_in(found, "monitor"):
        raise InstsegError(
            f"the run to resume chose its best weights by another metric: {in_words(moved, 'the checkpoint')}. Resume "
            f"with the same one, or start a new run from its weights: model.weights={path}"
        )


def _check_same_network(found: Differences) -> None:
    if network := _changed_in(found, "model"):
        raise InstsegError(f"the checkpoint to resume holds another network: {in_words(network, 'the checkpoint')}")


def _changed_in(found: Differences, group: str) -> Differences:
    """Return the differences in a group of keys that both configs have."""
    return {key: both for key, both in found.items() if key.startswith(f"{group}.") and ABSENT not in both}


def _check_same_place(found: Differences, training: TrainingState) -> None:
    moving = {key: both for key, both in found.items() if key in SHAPES_EPOCHS}
    if moving and training.batches:
        raise InstsegError(
            f"the checkpoint lies in the middle of epoch {training.epochs}, after {plural(training.batches, 'batch')}. "
            f"That is another place now: {in_words(moving, 'the checkpoint')}"
        )


def _check_end(config: Mapping[str, object], training: TrainingState) -> None:
    trainer = config.get("trainer")
    end = trainer.get("max_epochs") if isinstance(trainer, Mapping) else None
    if isinstance(end, int) and -1 < end < training.epochs:
        raise InstsegError(
            f"trainer.max_epochs={end}: the run to resume has done {plural(training.epochs, 'epoch')}; expected as "
            "many or more"
        )


def prepare_folder(run_dir: Path, resumable: Resumable | None) -> None:
    """Remove what a run wrote after the checkpoint; for the process that owns the folder.

    Args:
        run_dir: the run folder.
        resumable: the checkpoint; None where the run starts anew.
    """
    remove_scratch(run_dir / "checkpoints")
    training = resumable.description.training if resumable else None
    rewind_event_files(run_dir, training.events if training else {})
