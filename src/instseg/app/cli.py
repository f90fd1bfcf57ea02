"""The command line around Hydra: a folder for every run, and errors that say what was meant.

Imports neither torch nor Lightning: ``--help`` and tab completion answer at once.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from instseg.app.arguments import complete_command
from instseg.core.errors import InstsegError
from instseg.core.overrides import quoted
from instseg.distributed.device_slots import gpus_of_a_job, num_slots
from instseg.runs.folders import remove_unused_folders, run_folder
from instseg.sweeps.failures import is_disk_full

# Threads that wait sleep instead of spinning: it costs nothing on an idle machine, and on a busy one, a laptop with a
# browser open, spinning threads keep the one they wait for from running. Read once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ALIASES = {
    "epochs": "max_epochs", "learning_rate": "lr", "batch": "batch_size", "workers": "num_workers",
    "min_score": "score_threshold",
}  # fmt: skip
PACKAGES_OF_LAUNCHERS = {"joblib": "joblib", "submitit_slurm": "slurm", "submitit_local": "slurm"}
CONFIG_DIR = Path(__file__).parents[3] / "conf"


OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)
OmegaConf.register_new_resolver("device_slots", num_slots, replace=True)
OmegaConf.register_new_resolver("gpus_of_a_job", gpus_of_a_job, replace=True)


def inherit_arguments() -> None:
    """``resume=`` and ``checkpoint=`` go on with what that run, or sweep, was started with."""
    sys.argv[1:] = complete_command(sys.argv[1:])


@contextmanager
def friendly_errors(config_name: str) -> Iterator[None]:
    """Print what the user can mend as a few lines, exit code 1; anything unforeseen keeps its traceback."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra raises to here instead of printing its own summary
    if _is_job_of_a_sweep():  # which writes every error down and goes on
        yield
        return
    try:
        yield
    except InstsegError as error:  # a loader process wraps the message into its traceback
        _stop(str(error).rpartition("InstsegError: ")[2].strip())
    except KeyboardInterrupt:
        remove_unused_folders()
        raise
    except (HydraException, OmegaConfBaseException) as error:  # some of which are OSErrors
        _stop(explain(error, config_name))
    except OSError as error:
        if not is_disk_full(error):
            raise
        _stop(f"the disk is full: {error}")


def _is_job_of_a_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def _stop(message: str) -> None:
    remove_unused_folders()
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(message)}")
    sys.exit(1)


def explain(error: Exception, config_name: str) -> str:
    """Hydra's message, or a shorter one with what was probably meant."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InstsegError):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    launcher = str(getattr(error, "missing_cfg_file", "")).partition("hydra/launcher/")[2]
    if launcher in PACKAGES_OF_LAUNCHERS:
        return f'This launcher needs a package: pip install "instseg[{PACKAGES_OF_LAUNCHERS[launcher]}]"'
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).partition("/")
        return f"{group}={option}: there is no such option.{_meant(option, error.options)} Options: " + ", ".join(
            error.options
        )
    key = re.search(r"Could not override '([^']+)'|Could not find '([^']+)'", str(error))
    if key:
        name = key[1] or key[2]
        meant = _in_other_options(name) or _meant(name, known_keys(config_name))
        return f"{name}: there is no such key.{meant} See --help and --cfg job."
    if isinstance(error, OverrideParseException):
        example = (
            "Photos are given as source=photo.jpg; a value with spaces, commas, brackets or = is quoted twice: "
            "'source=\"my photo (1).jpg\"'"
            if config_name == "predict"
            else 'A value with spaces or braces is quoted for the shell: "dataset.rename={mobil: car}". One with other '
            f"characters, such as a folder's, is quoted twice: {_quoted_twice(str(error.override))}"
        )
        return f"{error.override!r} is not of the form key=value. {example}"
    return str(error).strip()


def _quoted_twice(override: str) -> str:
    """As it is typed, for the shell and for Hydra."""
    key, _, value = (override if "=" in override else "dataset.root=a, b").partition("=")
    return shlex.quote(quoted(key, value))


def _meant(name: str, known: Sequence[str]) -> str:
    """The closest known names: the same leaf in another place, else a similar spelling, of the whole or its root."""
    first, _, leaf = name.partition(".")[0], *name.rpartition(".")[1:]
    leaf = ALIASES.get(leaf, leaf)
    known = [key for key in known if ".suggested" not in key]
    close = [key for key in known if key == ALIASES.get(name)]
    close = close or [key for key in known if key.rpartition(".")[2] == leaf and key != name][:3]
    close = close or difflib.get_close_matches(name, known, n=1, cutoff=0.65)
    close = close or difflib.get_close_matches(first, [key for key in known if "." not in key], n=1)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def _in_other_options(name: str) -> str:
    """Which options of the key's group have it, where the chosen one has not."""
    group, _, leaf = name.partition(".")
    files = sorted((CONFIG_DIR / group).glob("*.yaml")) if leaf else []
    having = [file.stem for file in files if _has_key(file, leaf)]
    return f" {group}={', '.join(having)} would have it." if having else ""


def _has_key(file: Path, key: str) -> bool:
    """Whether an option has a key at its top, of its own or from the option of its group that it starts from."""
    text = file.read_text(encoding="utf-8")
    parents = re.search(r"^defaults: \[(.*)\]", text, re.M)
    bases = [file.with_name(f"{name.strip()}.yaml") for name in parents[1].split(",")] if parents else []
    own = re.search(rf"^{re.escape(key)}:", text, re.M) is not None
    return own or any(_has_key(base, key) for base in bases if base.is_file())


def known_keys(config_name: str) -> list[str]:
    """Every dotted key of the config as the chosen groups compose it."""
    groups = {path.name for path in CONFIG_DIR.iterdir() if path.is_dir()}
    chosen = [arg for arg in sys.argv[1:] if arg.partition("=")[0] in groups and "," not in arg]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        try:
            config = compose(config_name, overrides=chosen)
        except HydraException:
            config = compose(config_name)
    return list(dict.fromkeys([*sorted(groups), *dotted_keys(config)]))


def dotted_keys(config: DictConfig, prefix: str = "") -> list[str]:
    keys = []
    for key, value in config.items_ex(resolve=False):
        name = f"{prefix}{key!s}"
        keys.append(name)
        if isinstance(value, DictConfig) and not value._is_none():
            keys += dotted_keys(value, f"{name}.")
    return keys
