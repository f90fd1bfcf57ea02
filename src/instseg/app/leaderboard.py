"""``instseg leaderboard``: the jobs of a sweep, ranked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from instseg.app.plain_arguments import parse_plain, plain_parser
from instseg.core.command_line import typed_command
from instseg.sweeps.leaderboard import show_leaderboard
from instseg.sweeps.sweep_folder import SweepFolder, newest_sweep

DESCRIPTION = """\
Rank the jobs of a sweep, also while it runs. Prints a table and writes into the
sweep's folder: leaderboard.csv, leaderboard.png, and tensorboard/ with the
jobs' curves and, under HPARAMS, their values."""


def leaderboard(arguments: Sequence[str]) -> None:
    """Show the leaderboard of the sweep that the arguments name.

    Raises:
        InstsegError: there is no such sweep, or a file of it is damaged.
    """
    parser = plain_parser("leaderboard", DESCRIPTION)
    parser.add_argument("sweep", metavar="SWEEP_FOLDER", type=Path, nargs="?", help="default: the newest sweep")
    parser.add_argument("--outputs", metavar="DIR", type=Path, default=Path("outputs"), help="default: outputs")
    given = parse_plain(parser, arguments)
    show_leaderboard(SweepFolder(given.sweep or newest_sweep(given.outputs, remedy=_remedy())))


def _remedy() -> str:
    return f". Only the jobs of a sweep are ranked; single runs: {typed_command('compare')} RUN OTHER_RUN"
