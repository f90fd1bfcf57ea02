"""The end of a command when the user can fix something: one line, and no traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape

from instseg.core.errors import InstsegError


def run_command(main: Callable[[], None]) -> None:
    """Call the main function of a command; print an InstsegError as a message, with exit code 1."""
    try:
        main()
    except InstsegError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(str(error))}")
        sys.exit(1)
