"""How the commands of this package end when the user can mend something: in a line, not in a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape

from instseg.core.errors import InstsegError


def run_command(main: Callable[[], None]) -> None:
    """Call it; exit code 1 and a message after an InstsegError."""
    try:
        main()
    except InstsegError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(str(error))}")
        sys.exit(1)
