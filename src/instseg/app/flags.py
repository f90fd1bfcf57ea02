"""The flags among the arguments of a command that Hydra composes; everything else is an override."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence

from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.other_tools import DEVICES, OF_OTHER_TOOLS, on_device
from instseg.app.suggestions import closest_keys, known_keys
from instseg.core.errors import InstsegError

FLAGS = (
    "--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r",
    "--multirun", "-m", "--shell-completion", "-sc", "--config-path", "-cp", "--config-name", "-cn", "--config-dir",
    "-cd", "--experimental-rerun", "--info", "-i",
)  # fmt: skip
"""Those of Hydra."""


def parse_arguments(parser: argparse.ArgumentParser, config_name: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Sort arguments into flags and overrides, in whatever order they are given.

    Args:
        parser: Hydra's.
        config_name: train, predict or next.
        arguments: of the command.

    Raises:
        InstsegError: a flag is none of Hydra's; the message has the override that was probably meant. Or two flags
            do not go together.
    """
    refuse_unknown_flags(config_name, arguments)
    sorted_out = parser.parse_intermixed_args(arguments)
    if sorted_out.cfg and sorted_out.multirun:
        raise InstsegError("--cfg shows the config of a single run: leave -m out")
    return sorted_out


def refuse_unknown_flags(config_name: str, arguments: Sequence[str]) -> None:
    """Raise InstsegError, with the override that was probably meant, where a flag is none of Hydra's.

    Args:
        config_name: train, predict or next.
        arguments: of the command.
    """
    unknown = [argument for argument in arguments if _is_unknown(argument)]
    if unknown:
        raise InstsegError(f"{unknown[0]}: there is no such flag. {_as_overrides(config_name, arguments)}")


def _is_unknown(argument: str) -> bool:
    return argument.startswith("-") and argument.partition("=")[0] not in FLAGS


def _as_overrides(config_name: str, arguments: Sequence[str]) -> str:
    """Return the settings among the flags as overrides, ``--epochs 5`` as ``trainer.max_epochs=5``."""
    known = known_keys(config_name, (), CONFIG_DIR)
    meant = []
    other = OF_OTHER_TOOLS[config_name]
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, value = argument.lstrip("-").partition("=")
        name = name.replace("-", "_")
        named = other.get(name, "").partition("=")[0]
        keys = ([named] if named in known else closest_keys(name, known)) if _is_unknown(argument) else []
        is_value = "=" not in argument and "=" not in following and not following.startswith("-")
        given = following if is_value else value
        if _is_unknown(argument) and name in DEVICES and given:
            meant.append(on_device(config_name, given))
        elif keys:
            meant.append(shlex.quote(f"{keys[0]}={given or '…'}"))
    return f"A setting has no dashes and an equals sign: {' '.join(meant) or 'key=value'}"
