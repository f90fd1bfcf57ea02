"""The functions that configs may call, as ``${run_folder:…}``, in values and in the texts of ``--help``."""

from __future__ import annotations

from omegaconf import OmegaConf

from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.option_files import keys_of
from instseg.core.command_line import typed_command
from instseg.distributed.device_slots import gpus_of_a_job, num_slots
from instseg.runs.folders import run_folder


def register_resolvers() -> None:
    """Make them known to OmegaConf."""
    OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)
    OmegaConf.register_new_resolver("device_slots", num_slots, replace=True)
    OmegaConf.register_new_resolver("gpus_of_a_job", gpus_of_a_job, replace=True)
    OmegaConf.register_new_resolver("typed_command", typed_command, replace=True)
    OmegaConf.register_new_resolver("example", example, replace=True)
    OmegaConf.register_new_resolver("keys_of", keys_of, replace=True)
    OmegaConf.register_new_resolver("conf_folder", lambda: str(CONFIG_DIR), replace=True)


def example(verb: str, arguments: str, purpose: str) -> str:
    """Return a line of the help: a command, and what it is for.

    Args:
        verb: of the command.
        arguments: of the verb.
        purpose: in a few words.
    """
    return f"{f'{typed_command(verb)} {arguments}':<56}  {purpose}"
