"""Arguments of a verb that composes no config: names, and options as ``key=value`` like everywhere else."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path


def plain_parser(verb: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of a verb, without options.

    Args:
        verb: of the command ``instseg``.
        description: what it does, in a paragraph.
    """
    return argparse.ArgumentParser(
        prog=f"instseg {verb}",
        description=description,
        epilog="Every option --key VALUE may be written key=VALUE.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def parse_plain(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse names and options in whatever order; ``key=value`` is ``--key=value``.

    Args:
        parser: of the verb.
        arguments: that follow it.
    """
    return parser.parse_intermixed_args([_as_flag(argument) for argument in arguments])


def _as_flag(argument: str) -> str:
    is_option = re.match(r"[a-z_]+=", argument) is not None and not Path(argument).exists()
    return f"--{argument}" if is_option else argument
