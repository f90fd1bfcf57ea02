"""Lines that ``instseg next`` ends with: the first images and why, what they may bring, and how to train on them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Console

from instseg.app.config import NextConfig
from instseg.app.next_choice import Choice
from instseg.app.train_again import how_to_train_again
from instseg.core.channels import terminal_lines
from instseg.core.text import plural
from instseg.prediction.folder import Unreadable

NUM_SHOWN = 5


def print_unreadable(console: Console, unreadable: Sequence[Unreadable]) -> None:
    """Print the files that could not be read.

    Args:
        console: to print on.
        unreadable: the files, each with the reason.
    """
    for one in unreadable[:NUM_SHOWN]:
        console.print(terminal_lines(f"not readable: {one.file}: {one.reason}"), highlight=False, soft_wrap=True)
    if len(unreadable) > NUM_SHOWN:
        console.print(f"… and {len(unreadable) - NUM_SHOWN} more that are not readable")


def print_choice(console: Console, choice: Choice, num_wanted: int, num_seen: int) -> None:
    """Print the first images with their reasons.

    Args:
        console: to print on.
        choice: the images.
        num_wanted: images that were asked for.
        num_seen: images that were looked at.
    """
    num_chosen = len(choice.paths)
    fewer = "" if num_chosen == num_wanted else "; the others are near duplicates of these or of labelled ones"
    lines = [f"\n{num_chosen} of {plural(num_seen, 'image')} chosen{fewer}:"]
    pairs = list(zip(choice.paths, choice.reasons, strict=True))
    lines += [f"  {path.name}: {reason}" for path, reason in pairs[:NUM_SHOWN]]
    lines += [f"  … and {num_chosen - NUM_SHOWN} more"] if num_chosen > NUM_SHOWN else []
    console.print(terminal_lines("\n".join(lines)), highlight=False, soft_wrap=True)


def print_next_step(console: Console, config: NextConfig, gain: str, formats: list[str]) -> None:
    """Print what the images may bring, and how to train on them.

    Args:
        console: to print on.
        config: of the command.
        gain: that is expected.
        formats: of the pre-labels.
    """
    advice = how_to_train_again(msgspec.structs.replace(config, save=formats))
    console.print(terminal_lines(f"\nexpected gain: {gain}"), highlight=False, soft_wrap=True)
    if advice:
        console.print(terminal_lines(f"\n{advice}"), highlight=False, soft_wrap=True)
