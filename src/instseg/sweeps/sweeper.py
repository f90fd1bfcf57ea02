"""Hydra's side of a sweep: overrides become jobs, a launcher runs them, and none of them can end the others."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from instseg.core.errors import InstsegError
from instseg.core.locks import lock_if_free
from instseg.core.overrides import check_stored_overrides, quoted
from instseg.runs.stored_overrides import last_alive
from instseg.sweeps.command_line import ChosenStrategy, chosen_strategy, command_of, info_of, jobs_at_once, space_of
from instseg.sweeps.ending import ended, explain_interruption, in_words, tell_end
from instseg.sweeps.failures import REFUSED, is_disk_full
from instseg.sweeps.launching import run_all
from instseg.sweeps.recorded_job import RecordedJob
from instseg.sweeps.records import FAILED, FINISHED, Job, JobRecord, Outcome
from instseg.sweeps.strategy import Context, Setting, Space, Strategy
from instseg.sweeps.sweep_folder import LOCK, SweepFolder

log = logging.getLogger(__name__)

NOT_OF_A_JOB = ("resume", "retry_failed")
"""Keys that say how the sweep is resumed; a job's own ``resume`` is set where it is resumed."""


class RecordingSweeper(Sweeper):
    """Sweeper that runs the jobs of the strategy in ``sweep`` (without one: every combination of the given values)."""

    config: DictConfig
    hydra_context: HydraContext
    launcher: Launcher

    @abstractmethod
    def explain(self, error: Exception) -> str:
        """Explain to people why a config could not be composed."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Prepare to run jobs; called by Hydra.

        Args:
            hydra_context: loads configs.
            task_function: trains with a config, and returns the monitored metric.
            config: composed from the overrides that all jobs share.
        """
        self.config, self.hydra_context = config, hydra_context
        self.folder = SweepFolder(Path(config.hydra.sweep.dir))
        self._numbers: dict[tuple[str, ...], int] = {}
        job = RecordedJob(task_function, self.folder.path, partial(_number_now, self._numbers))
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=job, config=config
        )

    def sweep(self, arguments: list[str]) -> list[JobRecord]:
        """Run all jobs, and return their records; called by Hydra.

        Raises:
            InstsegError: some of them failed.
            SystemExit: the sweep was interrupted.
        """
        made_above = [folder for folder in self.folder.path.parents if not folder.exists()]
        self.folder.path.mkdir(parents=True, exist_ok=True)
        with lock_if_free(self.folder.path / LOCK) as is_free:
            if not is_free:
                raise InstsegError(f"{self.folder.path}: another process is working on this sweep")
            try:
                chosen = chosen_strategy(self.config.get("sweep"))
                self._work(chosen, arguments)
            except (KeyboardInterrupt, SystemExit):
                explain_interruption(self.folder)
                raise SystemExit(130) from None
            except Exception as error:
                self.folder.remove_if_unused(made_above)
                if is_disk_full(error):
                    raise in_words(error, self.folder) from error
                raise
            return ended(self.folder, chosen.strategy)

    # --- the overrides ---

    def _space(self, arguments: Sequence[str]) -> Space:
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        return space_of([o for o in parser.parse_overrides(list(arguments)) if o.key_or_group not in NOT_OF_A_JOB])

    def _setting(self, overrides: Sequence[str]) -> Setting:
        """Look into the config that overrides compose; without a config every value is None."""
        try:
            config = self._composed(overrides)
        except Exception:  # such a job is refused, with the reason, when its turn comes
            return lambda key: None
        return lambda key: OmegaConf.select(config, key)

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))

    # --- running ---

    def _work(self, chosen: ChosenStrategy, arguments: Sequence[str]) -> None:
        given = [argument for argument in arguments if argument.partition("=")[0] not in NOT_OF_A_JOB]
        command = command_of(self.folder, self.config, given)
        info = info_of(command, chosen, self.config)
        context = Context(info, self.folder.path, self._setting)
        retry, strategy = bool(self.config.retry_failed), chosen.strategy
        at_once = jobs_at_once(self.config.hydra.launcher)
        swept = strategy.begin(self._space(arguments), context, self.folder.records(), retry)
        self.folder.write_info(msgspec.structs.replace(info, values=swept))
        OmegaConf.save(self.config, self.folder.path / "multirun.yaml")
        while jobs := strategy.ask(at_once):
            for batch in [jobs] if at_once > 1 else [[job] for job in jobs]:
                self._run([job for job in batch if self._is_open(job, retry)])
                for job in batch:
                    self._tell(strategy, job)

    def _is_open(self, job: Job, retry_failed: bool) -> bool:
        """Tell whether the job is still to be run, and record that it is."""
        record = self.folder.find(job.number)
        if record is not None and record.values != dict(job.values):
            raise InstsegError(
                f"{self.folder.path}: its job {job.number} was {record.values} and would now be {dict(job.values)}. "
                "Resume with the command that started the sweep, or start a new one"
            )
        if record is not None and record.state == FAILED and retry_failed:
            record = JobRecord.of(job)
        if record is not None and record.state in FINISHED:
            return False
        self.folder.write(record or JobRecord.of(job))
        return True

    def _run(self, jobs: Sequence[Job]) -> None:
        possible = [job for job in jobs if self._can_be_composed(job)]
        if possible:
            run_all(possible, self._launch, self.folder)

    def _can_be_composed(self, job: Job) -> bool:
        try:
            self._composed(job.composed)
        except Exception as error:
            outcome = Outcome(FAILED, kind=REFUSED, reason=self.explain(error))
            self.folder.write(JobRecord.of(job).ended(outcome))
            return False
        return True

    def _launch(self, jobs: Sequence[Job]) -> None:
        overrides = [[*job.composed, *self._resumed(job)] for job in jobs]
        self._numbers.clear()
        self._numbers.update({job.composed: job.number for job in jobs})
        for result in self.launcher.launch(overrides, initial_job_idx=jobs[0].number):
            if isinstance(result._return_value, Exception):  # outside of the training, whose own are recorded
                raise result._return_value

    def _resumed(self, job: Job) -> list[str]:
        """Return the override with which a job that was interrupted resumes in its folder."""
        record = self.folder.read(job.number)
        if not record.run_dir or not last_alive(Path(record.run_dir)):
            return []
        self.folder.check_run(record)
        return check_stored_overrides([quoted("resume", record.run_dir)], str(self.folder.job_file(job.number)))

    def _tell(self, strategy: Strategy, job: Job) -> None:
        record = self.folder.read(job.number)
        strategy.tell(record)
        tell_end(record, self.config.monitor.metric)


def _number_now(numbers: dict[tuple[str, ...], int]) -> int:
    """Return the number of the job that this process runs: the one with its overrides."""
    given = [str(override) for override in HydraConfig.get().overrides.task]
    return numbers[tuple(override for override in given if not override.startswith("resume="))]
