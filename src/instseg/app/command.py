"""The command line around Hydra: arguments completed once, and a config composed for one of the commands.

Imports neither torch nor Lightning: ``--help`` and tab completion answer at once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext

from hydra import version
from hydra._internal.utils import _run_hydra, get_args_parser

from instseg.app.arguments import complete_command
from instseg.app.commands import COMMANDS
from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.flags import parse_arguments, refuse_other_forms
from instseg.app.friendly_errors import friendly_errors
from instseg.app.resolvers import register_resolvers
from instseg.app.text_arguments import as_texts
from instseg.app.wrapped_help import wrapped_help
from instseg.runs.folders import kept_if_refused

# Threads that wait sleep instead of spinning: it costs nothing on an idle machine, and on a busy one, a laptop with a
# browser open, spinning threads keep the one they wait for from running. Read once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

HYDRA_VERSION = "1.3"

register_resolvers()


def run_command(name: str, arguments: Sequence[str]) -> None:
    """Run a command as it is typed in a terminal.

    Args:
        name: one of ``COMMANDS``, and of the config that it composes.
        arguments: what follows the program's name.
    """
    with friendly_errors(name, arguments):
        version.setbase(HYDRA_VERSION)
        parser = get_args_parser()
        refuse_other_forms(parser, name, arguments)
        arguments = as_texts(arguments)
        completed = complete_command(arguments) if name == "train" else arguments
        helps = wrapped_help() if {"-h", "--help"} & {*arguments} else nullcontext()
        with helps, kept_if_refused(completed):
            _run_hydra(
                args=parse_arguments(parser, completed),
                args_parser=parser,
                task_function=COMMANDS[name],
                config_path=str(CONFIG_DIR),
                config_name=name,
            )
