"""Shell completion of the command ``instseg``: its verbs, and what Hydra knows of the overrides of each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from instseg.app.command import run_command


def complete(arguments: Sequence[str], verbs: Mapping[str, str | None]) -> None:
    """Install the completion in a shell, or answer its query.

    Args:
        arguments: ``install=bash``, say, or ``query=bash``; the line that is being typed is in ``COMP_LINE``.
        verbs: of the command, and the config that each composes, if any.
    """
    is_query = any(argument.startswith("query=") for argument in arguments)
    program, _, line = os.environ.get("COMP_LINE", "").partition(" ")
    name, has_ended, others = line.lstrip().partition(" ")
    if not is_query:
        run_command("train", ["-sc", *arguments])
    elif not has_ended:
        print(" ".join(verb for verb in verbs if verb.startswith(name)))
    elif composes := verbs.get(name):
        os.environ["COMP_LINE"] = f"{program} {others}"
        run_command(composes, ["-sc", *arguments])
