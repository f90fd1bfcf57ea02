"""The job of this process as Hydra knows it; nothing else reads Hydra's global config."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from instseg.app.conf_folder import PROVIDER


@dataclass(frozen=True, slots=True)
class Job:
    """One run of the command, or one job of a sweep. Without Hydra, as in a notebook, all is as in a single run."""

    name: str = "train"
    is_sweep: bool = False
    launcher: str | None = None
    """The chosen option of the launcher group."""
    model: str | None = None
    """The chosen option of the model group."""
    jobs_at_once: int = 1
    overrides: tuple[str, ...] = ()
    """Everything that composes its config, Hydra's own settings aside."""
    hydra_overrides: tuple[str, ...] = ()
    config_dirs: tuple[Path, ...] = field(default=())
    """Folders that the user added with ``--config-dir``."""
    cwd: Path | None = None
    """The folder that the command was typed in."""

    @property
    def model_overrides(self) -> tuple[str, ...]:
        """Keys below ``model`` that were overridden, such as ``box.score_threshold``."""
        keys = (override.partition("=")[0].lstrip("+~") for override in self.overrides)
        return tuple(key.removeprefix("model.") for key in keys if key.startswith("model."))


class _Source(msgspec.Struct):
    path: str
    provider: str


class _Runtime(msgspec.Struct):
    choices: dict[str, str | None]
    config_sources: list[_Source]
    cwd: str


class _Overrides(msgspec.Struct):
    task: list[str]
    hydra: list[str]


class _JobName(msgspec.Struct):
    name: str


class _Launcher(msgspec.Struct):
    n_jobs: int = 1


class _Hydra(msgspec.Struct):
    runtime: _Runtime
    overrides: _Overrides
    job: _JobName
    launcher: _Launcher


def current_job() -> Job:
    """Return the job of this process."""
    if not HydraConfig.initialized():
        return Job()
    config = HydraConfig.get()
    wanted = {key: OmegaConf.to_container(getattr(config, key), resolve=True) for key in _Hydra.__struct_fields__}
    hydra = msgspec.convert(wanted, _Hydra)
    return Job(
        name=hydra.job.name,
        is_sweep=config.mode == RunMode.MULTIRUN,
        launcher=hydra.runtime.choices.get("launcher"),
        model=hydra.runtime.choices.get("model"),
        jobs_at_once=hydra.launcher.n_jobs,
        overrides=tuple(hydra.overrides.task),
        hydra_overrides=tuple(hydra.overrides.hydra),
        config_dirs=tuple(Path(s.path) for s in hydra.runtime.config_sources if s.provider == PROVIDER),
        cwd=Path(hydra.runtime.cwd),
    )
