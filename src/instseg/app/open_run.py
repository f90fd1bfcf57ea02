"""A run that trains or measures: opened in one order, closed in the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytorch_lightning as pl
from rich.console import Console

from instseg.app.audit import audit_shortly
from instseg.app.build import build_datamodule, build_dataset, build_trainer, path_of
from instseg.app.config import RunConfig
from instseg.app.job import Job
from instseg.app.memory import keep_freed_memory
from instseg.app.own_process import rank_command
from instseg.app.record import write_record
from instseg.app.summary import print_summary
from instseg.checkpoints.reproduce import compare_runs, print_comparison, write_comparison
from instseg.checkpoints.resume import Resumable, check_resumable, find_resumable, prepare_folder
from instseg.core.files import write_json
from instseg.data.datamodule import InstanceDataModule
from instseg.distributed.rank_failure import watched_ranks
from instseg.runs.ownership import sole_owner
from instseg.training.coordinated_stop import stopping_together


@dataclass(frozen=True, slots=True)
class OpenRun:
    """What a stage works with."""

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
        trainer = build_trainer(config, rank_command(job, config))
        held.enter_context(stopping_together(trainer))
        if trainer.is_global_zero:
            held.enter_context(sole_owner(config.folder))
        if trainer.strategy.root_device.type == "cpu":
            keep_freed_memory()
        prepared = build_dataset(config)
        resumed = find_resumable(config.folder) if config.resume else None
        if resumed is not None:  # before anything of that run is written to
            check_resumable(resumed, prepared.categories, config.resolved, prepared.fingerprint, trainer.world_size)
        data = build_datamodule(config, prepared)
        write_record(config, job, prepared, trainer.world_size)
        audit_shortly(config, data.prepared)
        if config.resume and trainer.is_global_zero:
            prepare_folder(config.folder, resumed)
        held.enter_context(watched_ranks(trainer))
        yield OpenRun(config, trainer, data, resumed)


def close_run(run: OpenRun, metrics: Mapping[str, float]) -> None:
    """Write ``metrics.json``, compare with the run that this one repeats, and print the summary.

    Args:
        run: that has done its work.
        metrics: all that it measured, by their logged names.
    """
    if not run.trainer.is_global_zero:
        return
    config = run.config
    write_json(config.folder / "metrics.json", dict(sorted(metrics.items())), indent=2)
    if config.reproduce:
        original = path_of(config.reproduce)
        comparison = compare_runs(original, config.folder)
        print_comparison(comparison, original, Console())
        write_comparison(comparison, original, config.folder / "reproduce.json")
    print_summary(metrics, run.data, config.folder, config.stage)
