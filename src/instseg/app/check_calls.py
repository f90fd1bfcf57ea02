"""Check of the parts that a config names: each can be imported, and has the parameters that it is given."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

from hydra.utils import get_object

from instseg.app.check_config import check_keys
from instseg.app.config import Node
from instseg.core.errors import InstsegError

OWN_TRAINER_KEYS = ("checkpoint_every_minutes",)  # stand with Lightning's, which does not know them
HYDRA_KEYS = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


def check_calls(config: Node) -> None:
    """Check that all the parts that a config names can be imported, and have the parameters that it gives them."""
    for path, node in _nodes_with_target(config, ""):
        _check_call(path, node)


def _nodes_with_target(node: Mapping[str, object], prefix: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            path = f"{prefix}{key}."
            if "_target_" in value:
                yield path, value
            yield from _nodes_with_target(value, path)


def _check_call(path: str, node: Mapping[str, object]) -> None:
    """Compare the keys beside ``_target_`` with its parameters: a misspelt one is not noticed hours later."""
    try:
        target = get_object(str(node["_target_"]))
    except Exception as error:
        raise InstsegError(f"{path}_target_={node['_target_']}: cannot be imported: {error}") from error
    parameters = inspect.signature(target).parameters
    if any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
        return
    known = [*parameters, *(OWN_TRAINER_KEYS if path == "trainer." else ())]
    check_keys(path, (key for key in node if key not in HYDRA_KEYS and key != "suggested"), known)
