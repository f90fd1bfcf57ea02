"""Arguments that are no override: what was probably meant by a folder, a run, a name, or a part of a value."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence

from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.meant_settings import is_setting, labels_in, setting_meant, typed
from instseg.app.other_tools import ON_IMAGES
from instseg.app.stage_names import MEASURING
from instseg.core.errors import InstsegError
from instseg.core.files import home_path
from instseg.core.overrides import typed_values
from instseg.runs.folders import run_near

SEVERAL = re.compile(r"""[\w./]+=[^\s'"{\[(]* +[+~]{0,2}([a-z][\w./]*)=\S.*""")
"""Several overrides in one text, with the key of the second."""
BRACKETS = {"{": "}", "[": "]", "(": ")"}


def refuse_positionals(config_name: str, arguments: Sequence[str]) -> None:
    """Raise InstsegError, with the override that was probably meant, for the first argument that is none.

    Args:
        config_name: train, predict, next or serve.
        arguments: of the command without its flags, as they were typed.
    """
    for index, argument in enumerate(arguments):
        if whole := _torn(arguments[index:]):
            raise InstsegError(f"{argument!r}: the shell has cut this at its spaces. Type {shlex.quote(whole)}")
        if len(parts := several_in_one(config_name, argument)) > 1:
            raise InstsegError(f"{argument!r} is {len(parts)} overrides in one pair of quotes: {shlex.join(parts)}")
        if argument.endswith(",") and not _is_there(argument.partition("=")[2]):
            raise InstsegError(f"{argument!r}: spaces separate overrides, not commas: {shlex.quote(argument[:-1])}")
        if not argument.partition("=")[0].strip("+~ "):
            raise InstsegError(f"{argument!r}: expected key=value, found no key")
        if "=" not in argument and not argument.startswith("~"):
            following = next((a for a in arguments[index + 1 : index + 2] if "=" not in a), "")
            meant = _meant(config_name, typed_values(arguments), argument, following)
            raise InstsegError(f"{argument!r} is not of the form key=value. Did you mean {meant}?")


def several_in_one(config_name: str, argument: str) -> list[str]:
    """Split a text that holds several overrides; any other is returned alone.

    Args:
        config_name: train, predict, next or serve.
        argument: one of the command, or of a call in Python.
    """
    found = SEVERAL.fullmatch(argument)
    if not found or _is_there(argument.partition("=")[2]) or not is_setting(config_name, found[1].partition(".")[0]):
        return [argument]
    return argument.split()


def _torn(arguments: Sequence[str]) -> str:
    """Join an override with what follows it where the shell has cut it: in brackets, a path, or around the ``=``."""
    first, *others = arguments
    key, equals, value = first.partition("=")
    if others[:1] == ["="] and len(others) > 1:
        return f"{first}={others[1]}"
    if not equals or not others or "=" in others[0].partition(":")[0]:
        return ""
    if not value:
        return f"{key}={others[0]}"
    for count in range(1, len(others) + 1):
        whole = " ".join([value, *others[:count]])
        if _is_closed(whole) if value[:1] in BRACKETS and not _is_closed(value) else _is_there(whole):
            return f"{key}={whole}"
    return ""


def _is_closed(text: str) -> bool:
    return all(text.count(opening) == text.count(closing) for opening, closing in BRACKETS.items())


def _meant(config_name: str, given: dict[str, str], name: str, following: str) -> str:
    if not _is_there(name):
        if is_setting(config_name, name):
            return setting_meant(config_name, name, following)
        if options := sorted(CONFIG_DIR.glob(f"*/{name}.yaml")) if name.isidentifier() else []:
            return f"{options[0].parent.name}={name}"
    return _place_meant(config_name, given, name)


def _place_meant(config_name: str, given: dict[str, str], name: str) -> str:
    """Return the override for a run, a folder of labels, or images, by what lies there and what is still needed."""
    path, stage = home_path(name), given.get("stage", "fit")
    run = name if name == "latest" or path.suffix == ".ckpt" else str(run_near(path) or "")
    if config_name in ON_IMAGES:
        return typed("checkpoint", run) if run else typed("source", name)
    if stage in MEASURING and "checkpoint" not in given and (run or not _is_there(name)):
        return typed("checkpoint", run or name)
    if run and stage == "fit":
        return f"{typed('resume', run)}, or to start from its weights {typed('model.weights', run)}"
    return labels_in(name)


def _is_there(path: str) -> bool:
    return os.path.exists(home_path(path))  # noqa: PTH110  (pathlib's raises for a name that is too long)
