"""A training that never ends a sweep: its outcome is written where the sweep will look."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from instseg.core.atomic import write_text_atomically
from instseg.core.locks import lock_if_free
from instseg.sweeps.failures import ProcessDiedError, Pruned, ends_sweep, full_text, kind_of, reason_of
from instseg.sweeps.records import DONE, FAILED, FINISHED, INTERRUPTED, PRUNED, JobRecord, Outcome
from instseg.sweeps.sweep_folder import SweepFolder

log = logging.getLogger(__name__)


class RecordedJob:
    """The training function in the process of each job, which a launcher may have started elsewhere.

    Args:
        task: the training function: config -> the monitored metric, or None.
        folder: of the sweep.
        number_now: returns the number of the job that this process runs.
    """

    def __init__(self, task: Callable[[DictConfig], float | None], folder: Path, number_now: Callable[[], int]) -> None:
        self.task, self.folder, self.number_now = task, folder, number_now

    def __call__(self, config: DictConfig) -> float | None:
        """Run the job unless it has been run, and return its metric.

        Only what stops the whole sweep leaves here as an exception: an interruption, and the error of a full disk. The
        job is resumed when the sweep is.
        """
        sweep = SweepFolder(self.folder)
        number = self.number_now()
        with lock_if_free(sweep.lock_file(number)) as is_free:
            record = sweep.read(number)
            if not is_free or record.state in FINISHED:  # a launcher may start a job twice
                return record.metric
            ended = self._run(config, sweep, record)
        free_memory()
        return ended.metric

    def _run(self, config: DictConfig, sweep: SweepFolder, record: JobRecord) -> JobRecord:
        record = sweep.write(record.begun(str(OmegaConf.select(config, "run_dir"))))
        begun = time.monotonic()
        outcome = Outcome(INTERRUPTED)
        try:
            outcome = self._outcome(config, sweep.traceback_file(record.number))
        finally:  # also when the process is told to end, by whatever exception
            record = sweep.write(record.ended(outcome, time.monotonic() - begun))
        return record

    def _outcome(self, config: DictConfig, traceback_file: Path) -> Outcome:
        try:
            return Outcome(DONE, self.task(config))
        except Pruned as pruned:
            return Outcome(PRUNED, pruned.value, reason=str(pruned))
        except ProcessDiedError as died:
            log.warning("%s", died)
            return Outcome(INTERRUPTED, is_orderly=False)
        except BaseException as error:  # as of code that calls sys.exit
            if ends_sweep(error):
                raise
            write_text_atomically(traceback_file, full_text(error))
            return Outcome(FAILED, kind=kind_of(error), reason=reason_of(error))


def free_memory() -> None:
    """Free the memory that a failed job still holds, so that the next one does not fail for lack of it."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
