"""``python -m instseg train …`` and ``python -m instseg predict …``: as ``train.py`` and ``predict.py``."""

import sys

from instseg.app.command import COMMANDS, run_command
from instseg.core.command_line import typed_arguments


def main() -> None:
    """Run the command that the first argument names."""
    name, *arguments = typed_arguments() or [""]
    if name not in COMMANDS:
        sys.exit(f"usage: python -m instseg {{{','.join(COMMANDS)}}} [key=value …]")
    run_command(name, arguments)


if __name__ == "__main__":
    main()
