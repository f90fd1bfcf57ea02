"""The composed config, turned into typed values once: beyond this file nobody sees a config of Hydra or OmegaConf."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from instseg.app.config import Name, Names, NextConfig, Node, PredictConfig, RunConfig, ServeConfig, as_node
from instseg.core.errors import InstsegError
from instseg.core.ranges import as_written

MISSING = re.compile(r"missing required field `(.*)`")
INVALID = re.compile(r"(?P<what>.*?) - at `\$\.?(?P<key>.*)`", re.DOTALL)
IN_WORDS = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false",
            "object": "keys and values", "array": "a list"}  # fmt: skip

Kind = TypeVar("Kind", RunConfig, PredictConfig, NextConfig, ServeConfig)


def read_config(config: DictConfig, kind: type[Kind]) -> Kind:
    """Turn the composed config of a command into typed values.

    Args:
        config: as Hydra composed it.
        kind: of the command: ``RunConfig`` of ``train.py``, ``PredictConfig`` of ``predict.py``, ….

    Raises:
        InstsegError: a value is missing or of the wrong kind; the message names key, expected and found.
    """
    content = plain(config)
    try:
        return msgspec.convert({**content, "resolved": content}, kind, dec_hook=_to_text)
    except msgspec.ValidationError as error:
        raise _explained(error, content) from error
    except UnicodeEncodeError as error:  # such as "\\ud800" in a yaml file
        raise InstsegError(f"the config: a text holds half a character: {error.object!r:.50}") from error


def plain(config: DictConfig) -> Node:
    """Return the resolved config as plain containers.

    Raises:
        InstsegError: a value refers to a key that is not there.
    """
    try:
        return as_node(OmegaConf.to_container(config, resolve=True))
    except OmegaConfBaseException as error:
        raise InstsegError(str(error).splitlines()[0]) from error


def _to_text(kind: type[object], value: object) -> object:
    """Convert what msgspec does not know: ``Name`` and ``Names``; what is any ``object`` stays."""
    if kind is object:
        return value
    if kind is Names:
        return Names(_name(entry) for entry in (value if isinstance(value, list) else [value]))
    return _name(value)


def _name(value: object) -> Name:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return Name(value)
    raise msgspec.ValidationError(f"Expected `str`, got `{type(value).__name__}`")


def _explained(error: msgspec.ValidationError, content: Node) -> InstsegError:
    """Return an error that names the key, its value, and what was expected."""
    if missing := MISSING.search(str(error)):
        return InstsegError(f"{missing[1]}: expected a value or an option, found none")
    match = INVALID.fullmatch(str(error))
    if match is None:
        return InstsegError(f"the config: {error}")
    expected = match["what"].partition(", got ")[0].removeprefix("Expected ").replace("`", "").replace(" | ", " or ")
    for term, words in IN_WORDS.items():
        expected = re.sub(rf"\b{term}\b", words, expected)
    return InstsegError(f"{match['key']}={as_written(_value_at(content, match['key']))}: expected {expected}")


def _value_at(content: Node, key: str) -> object:
    found: object = content
    for part in re.findall(r"[^.\[\]]+", key):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list) and part.isdigit():
            found = found[int(part)]
    return found
