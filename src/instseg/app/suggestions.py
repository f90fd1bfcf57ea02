"""Messages for a command that cannot be composed: what was probably meant."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import InterpolationKeyError

from instseg.app.option_files import has_key
from instseg.app.other_tools import ON_IMAGES, instead_of_key, instead_of_option, keys_here
from instseg.core.errors import InstsegError, causes
from instseg.core.overrides import quoted, unquoted
from instseg.core.text import did_you_mean

ALIKE = 0.85
"""Ratio of difflib from which a name is likely a slip of the fingers."""
PACKAGES_OF_LAUNCHERS = {"joblib": "joblib", "submitit_slurm": "slurm", "submitit_local": "slurm"}


def explain(error: Exception, config_name: str, arguments: Sequence[str], conf: Path) -> str:
    """Explain why a config could not be composed, in Hydra's words or shorter ones with what was probably meant.

    Args:
        error: of Hydra or OmegaConf.
        config_name: train, predict, next or serve.
        arguments: of the command, whose chosen groups decide which keys there are.
        conf: the folder of all configs.

    Returns:
        A few lines without markup.
    """
    for cause in causes(error):
        if isinstance(cause, InstsegError):
            return str(cause)
    launcher = str(getattr(error, "missing_cfg_file", "")).partition("hydra/launcher/")[2]
    if launcher in PACKAGES_OF_LAUNCHERS:
        return f'This launcher needs a package: pip install "instseg[{PACKAGES_OF_LAUNCHERS[launcher]}]"'
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).partition("/")
        if instead := instead_of_option(config_name, group, option):
            return f"{group}={option}: there is no such option. {instead}"
        options = ", ".join(error.options)
        return f"{group}={option}: there is no such option.{_meant(option, error.options)} Options: {options}"
    key = re.search(r"Could not override '([^']+)'|Could not find '([^']+)'", str(error))
    if key:
        return _unknown_key(key[1] or key[2], config_name, arguments, conf)
    if isinstance(error, OverrideParseException):
        return f"{error.override!r} is not of the form key=value. {_example(str(error.override), config_name)}"
    if several := re.match(r"Ambiguous value for argument '([^=]+)=(.*)'\n", str(error)):
        name, values = several.groups()
        return f"{name}={values}: add -m to train with each of these values; a list as one value is {name}=[{values}]"
    if isinstance(error, InterpolationKeyError):
        return f"{error.full_key}: it refers to another key, which is not there: {str(error).splitlines()[0]}"
    if unlike := re.match(r"Error merging override (.*)", str(error), re.DOTALL):
        return f"{unlike[1]}: {_other_kind(error)}"
    return str(error).strip()


def _other_kind(error: Exception) -> str:
    """Say which kind of value a key has, where an override gives it one of another kind."""
    kind = getattr(error.__cause__, "object_type", None)
    if kind is dict:
        return "expected single keys of it, such as key.part=value, or a mapping {part: value}"
    return "expected a list [a,b]" if kind is list else str(error.__cause__).splitlines()[0]


def _unknown_key(name: str, config_name: str, arguments: Sequence[str], conf: Path) -> str:
    typed = [value for key, _, value in (argument.partition("=") for argument in arguments) if key == name]
    if instead := instead_of_key(config_name, name, unquoted(typed[-1]) if typed else ""):
        return f"{name}: there is no such key. Type {instead}"
    known = known_keys(config_name, arguments, conf)
    elsewhere = _in_other_options(name, arguments, conf)
    meant = elsewhere + did_you_mean(difflib.get_close_matches(name, known, n=1, cutoff=ALIKE if elsewhere else 1.0))
    meant = meant or _meant(name, known)
    return f"{name}: there is no such key.{meant} See --help and --cfg job."


def _example(override: str, config_name: str) -> str:
    if config_name in ON_IMAGES:
        return (
            "Images are given as source=a.jpg; a value with spaces, commas, brackets or = is quoted twice: "
            "'source=\"my image (1).jpg\"'"
        )
    return (
        'A value with spaces or braces is quoted for the shell: "dataset.rename={mobil: car}". One with other '
        f"characters, such as a folder's, is quoted twice: {_quoted_twice(override)}"
    )


def _quoted_twice(override: str) -> str:
    """Quote for the shell and for Hydra."""
    key, _, value = (override if "=" in override else "dataset.root=a, b").partition("=")
    return shlex.quote(quoted(key, value))


def _meant(name: str, known: Sequence[str]) -> str:
    return did_you_mean(closest_keys(name, known))


def closest_keys(name: str, known: Sequence[str]) -> list[str]:
    """Return the closest known keys: the same leaf elsewhere, else a similar spelling of the whole or its root.

    Args:
        name: a key that there is not.
        known: all keys.
    """
    first, _, leaf = name.partition(".")[0], *name.rpartition(".")[1:]
    known = [key for key in known if ".suggested" not in key]
    close = [key for key in known if key.rpartition(".")[2] == leaf and key != name][:3]
    close = close or [key for key in known if key in keys_here(leaf)]
    close = close or difflib.get_close_matches(name, known, n=1, cutoff=0.65)
    return close or difflib.get_close_matches(first, [key for key in known if "." not in key], n=1)


def _in_other_options(name: str, arguments: Sequence[str], conf: Path) -> str:
    """Name the options of the key's group that have it, where the chosen one has not; of datasets, auto."""
    group, _, leaf = name.partition(".")
    files = sorted((conf / group).glob("*.yaml")) if leaf else []
    having = [file.stem for file in files if has_key(file, leaf)]
    if group == "dataset" and "auto" in having and not any(a.startswith("dataset=") for a in arguments):
        return " Add dataset=auto, which reads labels of any format."
    return f" {group}={', '.join(having)} would have it." if having else ""


def known_keys(config_name: str, arguments: Sequence[str], conf: Path) -> list[str]:
    """List every dotted key of the config as the groups chosen by the arguments compose it.

    Args:
        config_name: train, predict, next or serve.
        arguments: of the command.
        conf: the folder of all configs.
    """
    groups = {path.name for path in conf.iterdir() if path.is_dir()}
    chosen = [argument for argument in arguments if argument.partition("=")[0] in groups and "," not in argument]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf), version_base="1.3"):
        try:
            config = compose(config_name, overrides=chosen)
        except HydraException:
            config = compose(config_name)
    return list(dict.fromkeys([*sorted(groups), *_dotted_keys(config)]))


def _dotted_keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    for key, value in config.items_ex(resolve=False):
        yield f"{prefix}{key!s}"
        if isinstance(value, DictConfig) and not value._is_none():
            yield from _dotted_keys(value, f"{prefix}{key!s}.")
