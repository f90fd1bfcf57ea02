"""The builders of networks that a composed config names, and those in the conf folders that the user names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hydra.utils import get_object
from omegaconf import OmegaConf

from instseg.app.config import Node
from instseg.core.errors import InstsegError
from instseg.models.builder import ModelBuilder, builder_of


def model_builder_of(node: Node) -> ModelBuilder[..., object]:
    """Return the builder that ``model._target_`` of a composed config names."""
    return builder_of(_imported(str(node["_target_"])))


def builders_of(node: Node) -> dict[str, Callable[..., object]]:
    """Find what the nodes of a composed config may call: all that they name, since the user has typed it."""
    return {name: _imported(name) for name in sorted(set(_targets(node)))}


def builders_in(config_dirs: Iterable[Path]) -> dict[str, Callable[..., object]]:
    """Find what the model configs of the user's own folders may call: a checkpoint may name these and ours, no others.

    Raises:
        InstsegError: a ``_target_`` in such a folder cannot be imported.
    """
    files = [file for folder in config_dirs for file in sorted((folder / "model").rglob("*.yaml"))]
    names = {name for file in files for name in _targets(OmegaConf.to_container(OmegaConf.load(file)))}
    return {name: _imported(name) for name in sorted(names)}


def _targets(node: object) -> Iterator[str]:
    """Walk through all ``_target_`` entries of nested containers."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "_target_":
                yield str(value)
            else:
                yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _imported(name: str) -> Callable[..., object]:
    try:
        found: object = get_object(name)
    except Exception as error:
        raise InstsegError(f"model._target_={name}: cannot be imported: {error}") from error
    if not callable(found):
        raise InstsegError(f"model._target_={name}: expected a builder, found {type(found).__name__}")
    return found
