"""The summary of a prediction run, on the screen and as an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from instseg.core.channels import terminal_cell, terminal_lines
from instseg.core.text import plural
from instseg.prediction.thresholds import Thresholds

NUM_UNREADABLE_SHOWN = NUM_CATEGORIES_SHOWN = 20


def print_start(console: Console, model: Mapping[str, object], device: str, thresholds: Thresholds) -> None:
    """Print which model runs, and at which thresholds.

    Args:
        console: to print on.
        model: plain containers that say which it is.
        device: that it runs on.
        thresholds: instances below are left out.
    """
    origin = model.get("exported") or model.get("checkpoint") or model.get("weights") or "a network"
    for title, said in (("model:", f"{origin} on {device}"), ("score threshold:", str(thresholds))):
        console.print(terminal_lines(f"{title:<18}{said}"), highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class PredictSummary:
    """The counts of a prediction run, and the image files that could not be read."""

    output: Path
    num_images: int  # predicted
    num_instances: dict[str, int]  # category name -> count, most first
    unreadable: list[tuple[Path, str]]  # file, reason
    interrupted: bool
    writes: tuple[str, ...]  # files and folders in the output
    notes: tuple[str, ...] = ()  # what the user should know about them

    @property
    def exit_code(self) -> int:
        """Return 0 for all done, 2 some files could not be read, 1 none could, 130 interrupted by Ctrl-C."""
        if self.interrupted:
            return 130
        if not self.unreadable:
            return 0
        return 2 if self.num_images else 1

    def print(self, console: Console) -> None:
        """Print the counts, the files that could not be read, and the paths of the outputs."""
        if self.interrupted:
            console.print("[yellow]interrupted:[/] what follows covers the images done before")
        if self.unreadable:
            console.print(f"[red]{len(self.unreadable)} of {self.num_images + len(self.unreadable)} not readable:[/]")
        for path, reason in self.unreadable[:NUM_UNREADABLE_SHOWN]:
            console.print(f"  {terminal_lines(str(path))}: {terminal_lines(reason)}", highlight=False, soft_wrap=True)
        if len(self.unreadable) > NUM_UNREADABLE_SHOWN:
            console.print(f"  … and {len(self.unreadable) - NUM_UNREADABLE_SHOWN} more")
        if self.num_images:
            console.print(self._found())
            for note in self.notes:
                console.print(f"[yellow]note:[/] {terminal_lines(note)}", highlight=False, soft_wrap=True)
            for name in self.writes:
                console.print(
                    f"{name + ':':<18}{terminal_lines(str(self.output / name))}", highlight=False, soft_wrap=True
                )

    def _found(self) -> Table | str:
        """Return the counts of instances as a table, or a sentence where there are none."""
        images = plural(self.num_images, "image")
        if not self.num_instances:
            return f"{images}, nothing found; a lower score_threshold shows more"
        table = Table(title=images, title_justify="left")
        table.add_column("category")
        table.add_column("instances", justify="right")
        for name, count in list(self.num_instances.items())[:NUM_CATEGORIES_SHOWN]:
            table.add_row(terminal_cell(name), str(count))
        if (num_more := len(self.num_instances) - NUM_CATEGORIES_SHOWN) > 0:
            rest = list(self.num_instances.values())[NUM_CATEGORIES_SHOWN:]
            table.add_row(f"… {num_more} more", str(sum(rest)))
        table.add_section()
        table.add_row("all", str(sum(self.num_instances.values())))
        return table
