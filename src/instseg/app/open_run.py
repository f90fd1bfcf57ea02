"""A run that trains or measures, opened in one order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytorch_lightning as pl

from instseg.app.build_data import build_datamodule, build_dataset
from instseg.app.build_trainer import build_trainer
from instseg.app.check_measurable import check_measurable
from instseg.app.config import RunConfig
from instseg.app.job import Job
from instseg.app.known_builders import model_builder_of
from instseg.app.memory import keep_freed_memory
from instseg.app.own_process import rank_command
from instseg.app.record import write_record
from instseg.app.short_audit import audit_at_start
from instseg.checkpoints.resume import Resumable, check_resumable, find_resumable, prepare_folder
from instseg.data.datamodule import InstanceDataModule
from instseg.distributed.rank_failure import RankWatch, watched_ranks
from instseg.runs.ownership import sole_owner
from instseg.training.coordinated_stop import StopTogether, stopping_together


@dataclass(frozen=True, slots=True)
class OpenRun:
    """An opened run: all that a stage works with."""

    config: RunConfig
    trainer: pl.Trainer
    data: InstanceDataModule
    resumed: Resumable | None
    """The checkpoint that the training resumes from."""


@contextmanager
def opened(config: RunConfig, job: Job) -> Iterator[OpenRun]:
    """Open a run: trainer, ownership of the folder, data, record; ranks stop and fail together until it is closed.

    Args:
        config: of the run.
        job: of this process.

    Raises:
        InstsegError: the folder has another owner, the data cannot be used, or the training cannot be resumed.
    """
    with ExitStack() as held:
        watch, stop = RankWatch(), StopTogether()
        trainer = build_trainer(config, rank_command(job, config), watch, stop)
        held.enter_context(stopping_together(trainer, stop))
        if trainer.is_global_zero:
            held.enter_context(sole_owner(config.folder))
        if trainer.strategy.root_device.type == "cpu":
            keep_freed_memory()
        prepared = build_dataset(config)
        resumed = find_resumable(config.folder) if config.resume else None
        if resumed is not None:  # before anything of that run is written to
            check_resumable(
                resumed,
                prepared.categories,
                config.resolved,
                prepared.fingerprint,
                trainer.world_size,
                model_builder_of(config.model).resolved,
            )
            prepared.check_range(resumed.description.preprocessing.value_range)
        data = build_datamodule(config, prepared)
        if config.stage == "fit":
            check_measurable(config, data.prepared.indices["val"], data.categories)
        write_record(config, job, prepared, trainer.world_size)
        audit_at_start(config, job, data.prepared)
        if config.resume and trainer.is_global_zero:
            prepare_folder(config.folder, resumed)
        held.enter_context(watched_ranks(watch))
        yield OpenRun(config, trainer, data, resumed)
