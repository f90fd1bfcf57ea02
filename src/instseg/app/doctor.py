"""``instseg doctor``: what this machine can do, and what stands in the way."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from instseg.app.doctor_checks import Check, check_machine
from instseg.app.plain_arguments import parse_plain, plain_parser
from instseg.core.channels import terminal_lines
from instseg.core.command_line import typed_command
from instseg.core.files import absolute_path

DESCRIPTION = """\
Check what this machine can do and what stands in the way of a training, each
with a remedy. Exit code 1 where something prevents it."""


def doctor(arguments: Sequence[str]) -> None:
    """Print the checks of this machine, and end with exit code 1 where one prevents a training."""
    parser = plain_parser("doctor", DESCRIPTION)
    parser.add_argument("--outputs", metavar="DIR", default="outputs", help="folder of all runs; default: outputs")
    parser.add_argument("--cache_dir", metavar="DIR", default="data", help="of generated data; default: data")
    given = parse_plain(parser, arguments)
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    hub = absolute_path(os.environ.get("TORCH_HOME", f"{cache}/torch")) / "hub"
    checks = [*_torch_checks(), *check_machine(absolute_path(given.outputs), absolute_path(given.cache_dir), hub)]
    sys.exit(print_checks(checks, Console()))


def _torch_checks() -> list[Check]:
    try:
        from instseg.app.doctor_torch import check_devices, check_precision, check_versions
    except (ImportError, OSError) as error:  # a library of another processor or system
        remedy = "pip install --force-reinstall torch torchvision"
        return [Check("packages", f"PyTorch cannot be imported: {error}", remedy, prevents_training=True)]
    return [*check_versions(), check_devices(), check_precision()]


def print_checks(checks: Sequence[Check], console: Console) -> int:
    """Print a table of checks with a remedy for each, and whether a training can start.

    Args:
        checks: of this machine.
        console: to print on.

    Returns:
        The exit code: 1 where something prevents a training.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("", "", "found", "remedy"):
        table.add_column(column, overflow="fold", no_wrap=not column)
    for check in checks:
        mark = "[red]✗[/]" if check.prevents_training else "[yellow]![/]" if check.remedy else "[green]✓[/]"
        table.add_row(mark, check.name, terminal_lines(check.found), terminal_lines(check.remedy))
    console.print(table)
    wrong = [check.name for check in checks if check.prevents_training]
    ready = f"Ready: {typed_command('train')} trains on generated shapes, in minutes."
    console.print(f"[red]Nothing can be trained here yet:[/] {', '.join(wrong)}" if wrong else terminal_lines(ready))
    return 1 if wrong else 0
