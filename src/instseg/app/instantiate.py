"""The parts that a config's nodes describe, each by its ``_target_``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from instseg.core.errors import InstsegError

Part = TypeVar("Part")
LIBRARIES = ("instseg.", "torch.")
"""Of whose functions a TypeError or a ValueError is about the options that they were given."""


def build(node: Mapping[str, object], *args: object, **kwargs: object) -> object:
    """Call what a node's ``_target_`` names, with the node's other keys.

    Args:
        node: plain containers.
        args: positional arguments.
        kwargs: further keywords; they replace the node's.

    Raises:
        InstsegError: what the user can fix is raised as it was, not wrapped.
    """
    wanted = {key: value for key, value in node.items() if key != "suggested"}  # those are defaults of other groups
    try:
        part: object = instantiate(wanted, *args, **kwargs, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, InstsegError):
            raise error.__cause__ from error.__cause__.__cause__  # "from error" would make a circle of causes
        raise
    return part


def of_kind(part: object, kind: type[Part], what: str) -> Part:
    """Return the part; InstsegError where it is of another kind than its group asks for.

    Args:
        part: of any kind.
        kind: that its group asks for.
        what: the key, for messages.
    """
    if not isinstance(part, kind):
        raise InstsegError(f"{what}: expected {kind.__name__}, found {type(part).__name__}")
    return part


def build_call(node: Mapping[str, object], what: str) -> Callable[..., object]:
    """Return the partial call that a node with ``_partial_`` describes.

    Args:
        node: plain containers with a ``_target_``.
        what: the key, for messages.
    """
    part, target = build(node), str(node.get("_target_"))
    if not callable(part):
        raise InstsegError(f"{what}: expected a function, found {type(part).__name__}")

    def call(*args: object) -> object:
        try:
            return part(*args)
        except (TypeError, ValueError) as error:
            if not target.startswith(LIBRARIES):
                raise  # an error in code of the user's own keeps its traceback
            raise InstsegError(f"{what}: {target.rpartition('.')[2]} refuses its options: {error}") from error

    return call
