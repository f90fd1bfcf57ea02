"""Configs that are composed from Python, in a script or a notebook, and run as the command would run them.

Hydra keeps what it composes in globals of the process, and a run changes more of it: signal handlers, the environment,
the log. All of that is left as it was found, so that one process can hold several runs.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobRuntime
from hydra.errors import HydraException
from hydra.types import RunMode
from hydra.version import VersionBase
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from instseg.app.arguments import complete_arguments, with_weights_of_a_run
from instseg.app.check_config import checked_run_config
from instseg.app.check_places import check_run_places
from instseg.app.command import HYDRA_VERSION
from instseg.app.conf_folder import CONFIG_DIR, PROVIDER
from instseg.app.flags import refuse_in_a_call
from instseg.app.job_log import logged
from instseg.app.suggestions import explain
from instseg.app.text_arguments import as_texts
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path
from instseg.runs.folders import kept_if_refused, remove_unused_folders, run_folder
from instseg.sweeps.failures import is_disk_full
from instseg.sweeps.resuming import starts_a_sweep

CTRL_C = 128 + signal.SIGINT

ConfigDir = str | os.PathLike[str] | None
"""A folder of the user's own configs, with the structure of ``conf``."""


def compose(name: str, overrides: Sequence[str], config_dir: ConfigDir = None) -> DictConfig:
    """Compose a config.

    Args:
        name: of the config: train or predict.
        overrides: ``key=value``, in Hydra's grammar.
        config_dir: of the user's own configs.

    Raises:
        InstsegError: there is no such key, option or folder.
    """
    check_overrides(name, overrides)
    with _hydra(name, overrides, config_dir) as hydra:
        composed = hydra.compose_config(name, as_texts(overrides), RunMode.RUN, from_shell=False)
        with open_dict(composed):
            del composed["hydra"]
        return composed


def run_stage(overrides: Sequence[str], config_dir: ConfigDir = None) -> Path:
    """Run what ``train.py`` would run for these overrides.

    Args:
        overrides: ``key=value``, in Hydra's grammar.
        config_dir: of the user's own configs.

    Returns:
        The run folder.

    Raises:
        InstsegError: anything the user can fix.
        KeyboardInterrupt: Ctrl-C, after the training has saved its state.
    """
    check_overrides("train", overrides)
    if starts_a_sweep(overrides):
        raise InstsegError("a sweep is started from the command line: instseg train -m …; here, call train in a loop")
    run_folder.cache_clear()  # which names one folder in a process of one run
    with _left_as_found(), _hydra("train", overrides, config_dir) as hydra:
        completed = complete_arguments(with_weights_of_a_run(as_texts(overrides)), config_dir)
        with kept_if_refused(completed):
            job = partial(_job, config_dir=config_dir)
            ended = hydra.run("train", job, completed, with_log_configuration=False).return_value
            if isinstance(ended, Exception):
                raise ended
        return Path(ended)


def check_overrides(name: str, overrides: Sequence[object]) -> None:
    """Check that overrides given in Python are texts, and none of them a flag.

    Args:
        name: of the config: train or predict.
        overrides: of the call.

    Raises:
        InstsegError: one is not.
    """
    texts = [override for override in overrides if isinstance(override, str)]
    for override in overrides:
        if not isinstance(override, str):
            raise InstsegError(f'{override!r}: expected a text such as "batch_size=4"')
    refuse_in_a_call(name, texts)


def _job(config: DictConfig, config_dir: ConfigDir) -> Path | Exception:
    """Run a stage; Hydra would print the errors that are raised here."""
    folder = Path(str(config.run_dir))
    try:
        check_run_places(checked_run_config(config))
        from instseg.app.run import run  # torch is imported here

        with logged():
            run(config)
    except Exception as error:
        return error
    except SystemExit as end:
        if end.code != CTRL_C:
            raise
        own = "" if config_dir is None else f", config_dir={os.fspath(config_dir)!r}"
        raise KeyboardInterrupt(f"resume with instseg.train({f'resume={folder}'!r}{own})") from None
    return folder


@contextmanager
def _hydra(name: str, overrides: Sequence[str], config_dir: ConfigDir) -> Iterator[Hydra]:
    """Make Hydra ready to compose, and leave its globals as they were."""
    before, job = GlobalHydra.instance().hydra, JobRuntime.instance().get("name")
    base = VersionBase.instance().version_base
    GlobalHydra.instance().hydra = None
    try:
        version.setbase(HYDRA_VERSION)
        with _explained(name, overrides):
            yield Hydra.create_main_hydra2(name, _search_path(config_dir))
    finally:
        GlobalHydra.instance().hydra = before
        JobRuntime.instance().set("name", job)
        VersionBase.instance().version_base = base


def _search_path(config_dir: ConfigDir) -> ConfigSearchPath:
    path = create_config_search_path(str(CONFIG_DIR))
    if config_dir is not None:
        folder = absolute_path(os.fspath(config_dir))
        if not folder.is_dir():
            raise InstsegError(f"config_dir={config_dir}: no such folder")
        path.prepend(PROVIDER, f"file://{folder}", SearchPathQuery(provider="schema"))
    return path


@contextmanager
def _explained(name: str, overrides: Sequence[str]) -> Iterator[None]:
    """Raise what the user can fix as InstsegError, with the words of the command, and remove the unused run folder."""
    try:
        yield
    except InstsegError as error:
        remove_unused_folders()
        text = str(error).rpartition("InstsegError: ")[2].strip()  # a loader process wraps it into its traceback
        raise (error if text == str(error) else InstsegError(text)) from error.__cause__
    except KeyboardInterrupt:
        remove_unused_folders()
        raise
    except (HydraException, OmegaConfBaseException) as error:
        remove_unused_folders()
        raise InstsegError(explain(error, name, overrides, CONFIG_DIR)) from None  # which has all of its text
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise InstsegError(f"the disk is full: {error}") from error


@contextmanager
def _left_as_found() -> Iterator[None]:
    """Restore what a run changes about its process: the environment, signal handlers, filters of warnings."""
    environment = dict(os.environ)
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if is_main}
    with warnings.catch_warnings():
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            _restore_environment(environment)


def _restore_environment(before: Mapping[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
