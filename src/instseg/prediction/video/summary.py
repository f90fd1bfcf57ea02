"""The summary of a prediction run on a video, on the screen and as an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from instseg.core.channels import terminal_cell, terminal_lines
from instseg.core.text import duration, plural
from instseg.prediction.summary import NUM_UNREADABLE_SHOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSummary:
    """The counts of a run on a video, and what of it could not be read."""

    output: Path
    num_frames: int  # with those of earlier runs that this one resumed
    num_predicted: int  # by this run
    seconds: float  # that these took
    num_instances: Mapping[str, int]  # category name -> count, most first
    num_tracks: Mapping[str, int]
    damage: list[tuple[str, str]]  # place, reason
    interrupted: bool
    writes: tuple[str, ...]  # files in the output
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """Return 0 for all done, 2 a part could not be read, 1 no frame could, 130 interrupted by Ctrl-C."""
        if self.interrupted:
            return 130
        if not self.num_frames:
            return 1
        return 2 if self.damage else 0

    def print(self, console: Console) -> None:
        """Print the counts, what could not be read, and the paths of the outputs."""

        def say(text: str) -> None:
            console.print(text, highlight=False, soft_wrap=True)

        if self.interrupted:
            say("[yellow]interrupted:[/] what follows covers the frames done before; the same command resumes")
        if self.damage:
            say(f"[red]not readable in {plural(len(self.damage), 'place')}:[/]")
        for place, reason in self.damage[:NUM_UNREADABLE_SHOWN]:
            say(f"  {terminal_lines(place)}: {terminal_lines(reason)}")
        if len(self.damage) > NUM_UNREADABLE_SHOWN:
            say(f"  … and {len(self.damage) - NUM_UNREADABLE_SHOWN} more")
        if self.num_frames:
            console.print(self._found())
            say(f"{'speed:':<18}{self._speed()}")
            for note in self.notes:
                say(f"[yellow]note:[/] {terminal_lines(note)}")
            for name in self.writes:
                say(f"{name + ':':<18}{terminal_lines(str(self.output / name))}")

    def _speed(self) -> str:
        rate = self.num_predicted / self.seconds if self.seconds else 0.0
        return f"{rate:.3g} frames/s ({plural(self.num_predicted, 'frame')} in {duration(self.seconds)})"

    def _found(self) -> Table | str:
        """Return the counts of tracks as a table, or a sentence where there are none."""
        frames = plural(self.num_frames, "frame")
        if not self.num_instances:
            return f"{frames}, nothing found; a lower score_threshold shows more"
        table = Table(title=frames, title_justify="left")
        table.add_column("category")
        table.add_column("tracks", justify="right")
        table.add_column("instances", justify="right")
        for name, count in self.num_instances.items():
            table.add_row(terminal_cell(name), str(self.num_tracks[name]), str(count))
        table.add_section()
        table.add_row("all", str(sum(self.num_tracks.values())), str(sum(self.num_instances.values())))
        return table
