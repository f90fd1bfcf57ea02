"""The end of a command that cannot do what it was asked for: a message and exit code 1."""

from __future__ import annotations

import sys
from typing import NoReturn

from rich.console import Console

from instseg.core.channels import terminal_lines
from instseg.runs.folders import remove_unused_folders
from instseg.sweeps.failures import is_disk_full


def stop(message: str) -> NoReturn:
    """End the process with a message, exit code 1, and without the folders that it has made in vain."""
    remove_unused_folders()
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {terminal_lines(message)}")
    sys.exit(1)


def stop_if_disk_is_full(error: OSError) -> None:
    """End the process with a message where this is what an error says."""
    if is_disk_full(error):
        stop(f"the disk is full: {error}")
