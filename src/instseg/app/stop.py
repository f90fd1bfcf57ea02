"""The end of a command that cannot do what it was asked for: a message and exit code 1."""

from __future__ import annotations

import errno
import sys
from typing import NoReturn

from rich.console import Console

from instseg.core.channels import terminal_lines
from instseg.runs.folders import remove_unused_folders
from instseg.sweeps.failures import is_disk_full


def stop(message: str) -> NoReturn:
    """Print a message, remove the folders that were made in vain, and exit with code 1."""
    remove_unused_folders()
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {terminal_lines(message)}")
    sys.exit(1)


def stop_if_explained(error: OSError) -> None:
    """End the process with a message where an error says what the user can change: a full disk, or too long a name."""
    if is_disk_full(error):
        stop(f"the disk is full: {error}")
    if error.errno == errno.ENAMETOOLONG:
        stop(f"{str(error.filename)[:80]}…: no file or folder can have so long a name")
