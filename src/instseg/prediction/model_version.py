"""The name of a model beside what it has found."""

from __future__ import annotations

from collections.abc import Mapping


def model_version(identity: Mapping[str, object]) -> str:
    """Return a model in a few words, the same for the same checkpoint.

    Args:
        identity: plain containers that say which model it is.
    """
    if run := identity.get("run"):
        return f"{run} epoch {identity['epoch']}"
    return str(identity.get("checkpoint") or identity.get("weights") or "instseg")
