"""Hydra's side of a sweep: typed values become jobs, a launcher runs them, and none of them can end the others."""

from __future__ import annotations

import logging
import shlex
import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from instseg.core.atomic import lock_if_free
from instseg.core.errors import InstsegError
from instseg.core.overrides import quoted
from instseg.runs.stored_overrides import last_alive
from instseg.sweeps.command_line import jobs_at_once, space_of
from instseg.sweeps.failures import REFUSED, is_disk_full
from instseg.sweeps.launching import run_all
from instseg.sweeps.recorded_job import RecordedJob
from instseg.sweeps.records import DONE, FAILED, FINISHED, LOCK, WAITING, Job, JobRecord, SweepFolder, SweepInfo
from instseg.sweeps.strategy import Context, Space, Strategy

log = logging.getLogger(__name__)

NOT_OF_A_JOB = ("resume", "retry_failed")
"""Keys that say how the sweep goes on; a job's own ``resume`` is set where it goes on."""
DEFAULT_STRATEGY = {"_target_": "instseg.sweeps.strategy.Grid"}


class RecordingSweeper(Sweeper):
    """Runs the jobs of the strategy in ``sweep`` (without one: every combination of what was typed)."""

    config: DictConfig
    hydra_context: HydraContext
    launcher: Launcher

    @abstractmethod
    def explain(self, error: Exception) -> str:
        """Why a config could not be composed, for people."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.hydra_context = config, hydra_context
        self.folder = SweepFolder(Path(config.hydra.sweep.dir))
        self._numbers: dict[tuple[str, ...], int] = {}
        job = RecordedJob(task_function, self.folder.path, partial(_number_now, self._numbers))
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=job, config=config
        )

    def sweep(self, arguments: list[str]) -> list[JobRecord]:
        """The records of all jobs. InstsegError at the end where some failed, SystemExit where it was interrupted."""
        self.folder.path.mkdir(parents=True, exist_ok=True)
        with lock_if_free(self.folder.path / LOCK) as is_free:
            if not is_free:
                raise InstsegError(f"{self.folder.path}: another process is working on this sweep")
            try:
                self._work(self._strategy(), self._space(arguments))
            except (KeyboardInterrupt, SystemExit):
                self._explain_interruption()
                raise SystemExit(130) from None
            except Exception as error:
                self.folder.remove_if_unused()
                if is_disk_full(error):
                    raise self._in_words(error) from error
                raise
            records = self.folder.records()
            self._finish(records)
        return records

    # --- what was typed ---

    def _strategy(self) -> Strategy:
        given = self.config.get("sweep")
        self._described = OmegaConf.to_container(given, resolve=True) if given else dict(DEFAULT_STRATEGY)
        strategy = instantiate(self._described, _convert_="all")
        assert isinstance(strategy, Strategy)
        return strategy

    def _space(self, arguments: Sequence[str]) -> Space:
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        return space_of([o for o in parser.parse_overrides(list(arguments)) if o.key_or_group not in NOT_OF_A_JOB])

    def _setting(self, overrides: Sequence[str]) -> Callable[[str], Any]:
        """A look into the config that overrides compose; without a config all is None."""
        try:
            config = self._composed(overrides)
        except Exception:  # such a job is refused, with the reason, when its turn comes
            return lambda key: None
        return lambda key: OmegaConf.select(config, key)

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))

    # --- running ---

    def _work(self, strategy: Strategy, space: Space) -> None:
        monitor = self.config.monitor
        assert isinstance(self._described, dict)
        described = {str(key): value for key, value in self._described.items()}
        info = SweepInfo(command_of(self.folder), described, monitor.metric, monitor.mode)
        context = Context(info, self.folder.path, self._setting)
        retry = bool(self.config.retry_failed)
        swept = strategy.begin(space, context, self.folder.records(), retry)
        self.folder.write_info(SweepInfo(**{**vars(info), "values": swept}))
        OmegaConf.save(self.config, self.folder.path / "multirun.yaml")
        at_once = jobs_at_once(self.config.hydra.launcher)
        while jobs := strategy.ask(at_once):
            for batch in [jobs] if at_once > 1 else [[job] for job in jobs]:
                self._run([job for job in batch if self._is_open(job, retry)])
                for job in batch:
                    self._tell(strategy, job)

    def _is_open(self, job: Job, retry_failed: bool) -> bool:
        """Whether the job is still to be run; writes down that it is."""
        record = self.folder.read(job.number)
        if record is not None and record.values != dict(job.values):
            raise InstsegError(
                f"{self.folder.path}: its job {job.number} was {record.values} and would now be {job.values}. "
                "Go on with the command that started the sweep, or start a new one"
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
            self._composed(job.overrides)
        except Exception as error:
            record = JobRecord.of(job)
            self.folder.write(record, state=FAILED, kind=REFUSED, reason=self.explain(error))
            return False
        return True

    def _launch(self, jobs: Sequence[Job]) -> None:
        overrides = [[*job.overrides, *self._resumed(job)] for job in jobs]
        self._numbers.clear()
        self._numbers.update({job.overrides: job.number for job in jobs})
        for result in self.launcher.launch(overrides, initial_job_idx=jobs[0].number):
            if isinstance(result._return_value, Exception):  # outside of the training, whose own are written down
                raise result._return_value

    def _resumed(self, job: Job) -> list[str]:
        """What makes a job that was interrupted go on in its folder, from the last good checkpoint there."""
        record = self.folder.read(job.number)
        begun = Path(record.run_dir) if record and record.run_dir else None
        return [quoted("resume", begun)] if begun and last_alive(begun) else []

    # --- telling ---

    def _tell(self, strategy: Strategy, job: Job) -> None:
        record = self.folder.read(job.number)
        assert record is not None and record.state != WAITING
        strategy.tell(record)
        value = "" if record.metric is None else f", {self.config.monitor.metric} {record.metric:.4g}"
        log.info("job %d %s%s: %s", record.number, record.state, value, record.reason or _shown(record.values))

    def _explain_interruption(self) -> None:
        records = self.folder.records()
        done = sum(record.state in FINISHED for record in records)
        print(f"\nInterrupted; {done} of the jobs are finished, and all that was written stays.", file=sys.stderr)
        print(f"Go on with:  {self._command_to_go_on()}", file=sys.stderr)

    def _in_words(self, error: Exception) -> InstsegError:
        """What to do about a full disk; no job has failed of it."""
        what = str(error).partition(". ")[0]
        return InstsegError(
            f"the sweep stops, because the disk is full: {what}. Make room, then go on with:  "
            f"{self._command_to_go_on()}"
        )

    def _finish(self, records: Sequence[JobRecord]) -> None:
        from instseg.sweeps.leaderboard import show_leaderboard  # matplotlib: not before it is needed

        show_leaderboard(self.folder)
        failed = [record for record in records if record.state == FAILED]
        if failed:
            done = sum(record.state == DONE for record in records)
            raise InstsegError(
                f"{len(failed)} of {len(records)} jobs failed ({done} done), the first, number {failed[0].number}: "
                f"{failed[0].reason}\nWhat is known of them is in {self.folder.path / 'jobs'}. Run them again with:  "
                f"{self._command_to_go_on()} retry_failed=true"
            )

    def _command_to_go_on(self) -> str:
        return f"python {sys.argv[0]} {shlex.quote(f'resume={self.folder.path}')}"


def _number_now(numbers: dict[tuple[str, ...], int], _config: Any) -> int:
    """Which job the process runs: the one with its overrides."""
    typed = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    assert isinstance(typed, list)
    return numbers[tuple(override for override in typed if not override.startswith("resume="))]


def command_of(folder: SweepFolder) -> list[str]:
    """What started the sweep: the first command that was recorded, else that of this process."""
    if folder.info_file.is_file():
        return folder.read_info().command
    return list(sys.argv[1:])


def _shown(values: Mapping[str, str]) -> str:
    from instseg.sweeps.ranking import short  # scipy: not before it is needed

    return ", ".join(f"{key}={short(value)}" for key, value in values.items())
