"""The flags among the arguments of a command that Hydra composes; everything else is an override."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from instseg.app.meant_settings import setting_meant
from instseg.app.positionals import refuse_positionals, several_in_one
from instseg.core.errors import InstsegError

FLAGS = (
    "--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r",
    "--multirun", "-m", "--shell-completion", "-sc", "--config-path", "-cp", "--config-name", "-cn", "--config-dir",
    "-cd", "--experimental-rerun", "--info", "-i",
)  # fmt: skip
"""Those of Hydra."""


def parse_arguments(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Sort arguments into flags and overrides, in whatever order they are given.

    Args:
        parser: Hydra's.
        arguments: of the command.

    Raises:
        InstsegError: two flags do not go together.
    """
    sorted_out = parser.parse_intermixed_args(arguments)
    if sorted_out.cfg and sorted_out.multirun:
        raise InstsegError("--cfg shows the config of a single run: leave -m out")
    return sorted_out


def refuse_other_forms(parser: argparse.ArgumentParser, config_name: str, arguments: Sequence[str]) -> None:
    """Raise InstsegError, with the override that was probably meant, for what is neither flag nor override.

    Args:
        parser: Hydra's.
        config_name: train, predict, next or serve.
        arguments: of the command, as they were typed.
    """
    refuse_unknown_flags(config_name, arguments)
    refuse_positionals(config_name, parser.parse_intermixed_args(arguments).overrides)


def refuse_in_a_call(config_name: str, overrides: Sequence[str]) -> None:
    """Raise InstsegError for what is no override in a call in Python, where the command's flags are none either.

    Args:
        config_name: train, predict, next or serve.
        overrides: of the call.
    """
    for override in overrides:
        if len(parts := several_in_one(config_name, override)) > 1:
            each = ", ".join(f'"{part}"' for part in parts)
            raise InstsegError(f"{override!r}: each override is a text of its own: {each}")
    refuse_unknown_flags(config_name, overrides)
    for override in overrides:
        if override.startswith("-"):
            raise InstsegError(f"{override}: expected key=value; flags belong to the command line")
    refuse_positionals(config_name, overrides)


def refuse_unknown_flags(config_name: str, arguments: Sequence[str]) -> None:
    """Raise InstsegError, with the override that was probably meant, where a flag is none of Hydra's.

    Args:
        config_name: train, predict, next or serve.
        arguments: of the command.
    """
    unknown = [argument for argument in arguments if _is_unknown(argument)]
    if unknown:
        raise InstsegError(f"{unknown[0]}: there is no such flag. {_as_overrides(config_name, arguments)}")


def _is_unknown(argument: str) -> bool:
    return argument.startswith("-") and argument.partition("=")[0] not in FLAGS


def _as_overrides(config_name: str, arguments: Sequence[str]) -> str:
    """Return the settings among the flags as overrides, ``--epochs 5`` as ``trainer.max_epochs=5``."""
    meant = []
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, value = argument.lstrip("-").partition("=")
        is_value = "=" not in argument and "=" not in following and not following.startswith("-")
        if _is_unknown(argument):
            meant.append(setting_meant(config_name, name.replace("-", "_"), following if is_value else value))
    return f"A setting has no dashes and an equals sign: {' '.join(filter(None, meant)) or 'key=value'}"
