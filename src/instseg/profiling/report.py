"""A profile on the screen and as json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from instseg.core.channels import terminal_lines
from instseg.core.text import plural
from instseg.profiling import profile as part
from instseg.profiling.costs import costs
from instseg.profiling.profile import Profile

NUM_COSTS = 5
ORDER = (part.DATA, part.COPY, "forward", part.BACKWARD, part.OPTIMIZER, part.PASTE, part.UPDATE, part.COMPUTE)


def as_json(profile: Profile) -> dict[str, object]:
    """Return the measurements, and the totals and costs computed from them."""
    names = ("step_seconds", "images_per_second", "training_seconds", "evaluation_seconds", "epoch_seconds")
    derived = {name: getattr(profile, name) for name in names}
    return asdict(profile) | derived | {"costs": [asdict(cost) for cost in costs(profile)]}


def print_profile(profile: Profile, console: Console) -> None:
    """Print the time of a training step and of an evaluated image by parts, and the most expensive parts of an epoch.

    Args:
        profile: the measurements.
        console: to print on.
    """
    console.print("\n", _step_table(profile), sep="")
    if profile.num_images:
        console.print("\n", _image_table(profile), sep="")
    console.print(f"\n{_epoch(profile)}\n", markup=False, highlight=False)
    console.print(_costs_table(profile))


def print_places(folder: Path, console: Console) -> None:
    """Print the paths of the files, and how to look at the trace.

    Args:
        folder: holds the files.
        console: to print on.
    """
    trace = folder / "trace.json"
    lines = [f"numbers:         {folder / 'profile.json'}", "trace:           none, for that there are too few steps"]
    if trace.exists():
        how = "open https://ui.perfetto.dev and drop the trace on the page; it stays on your machine"
        lines[1:] = [f"trace:           {trace}", f"look:            {how}"]
    console.print("\n" + "\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _step_table(profile: Profile) -> Table:
    num_images = f"{profile.images_per_step:.3g} {'image' if profile.images_per_step == 1 else 'images'}"
    num_steps = plural(profile.num_steps, "step")
    table = _table(
        f"Training step: {_time(profile.step_seconds)} for {num_images}, {profile.images_per_second:.3g} images/s",
        f"mean of {num_steps}, {profile.device}, {profile.precision}, num_workers={profile.num_workers}",
    )
    _add_rows(table, profile.step, inner=True)
    return table


def _image_table(profile: Profile) -> Table:
    seconds = sum(profile.image.values())
    once = ", ".join(f"{name} {_time(value)}" for name, value in profile.evaluation.items())
    table = _table(
        f"Evaluation: {_time(seconds)} an image, {1 / seconds:.3g} images/s",
        f"mean of {plural(profile.num_images, 'image')}; once per evaluation: {once}",
    )
    _add_rows(table, profile.image, inner=False)
    return table


def _table(title: str, caption: str) -> Table:
    table = Table(title=title, title_justify="left", caption=terminal_lines(caption), caption_justify="left")
    table.add_column("part")
    table.add_column("time", justify="right")
    table.add_column("fraction", justify="right")
    return table


def _add_rows(table: Table, seconds: Mapping[str, float], inner: bool) -> None:
    """Add the parts in the order in which they run, those of the network below their sum; the rest comes last."""
    network = {name: seconds[name] for name in part.FORWARD if name in seconds}
    outer = {name: value for name, value in seconds.items() if name not in network}
    outer["forward"] = sum(network.values())
    for name in sorted(outer, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER)):
        total = sum(seconds.values())
        table.add_row(terminal_lines(name), _time(outer[name]), f"{outer[name] / total:.0%}")
        for part_name, value in network.items() if inner and name == "forward" else ():
            table.add_row(f"  {part_name}", _time(value), f"{value / total:.0%}", style="dim")


def _epoch(profile: Profile) -> str:
    """Return the time of an epoch as text, by steps, evaluation and checkpoints."""
    lines = [f"An epoch of this training takes about {_time(profile.epoch_seconds)}:"]
    lines.append(f"  training     {_time(profile.training_seconds):>9}  {plural(profile.steps_per_epoch, 'step')}")
    if profile.num_images:
        images = plural(profile.images_per_evaluation, "image")
        lines.append(f"  evaluation   {_time(profile.evaluation_seconds):>9}  {images}")
    lines.append(f"  checkpoints  {_time(profile.checkpoints_seconds):>9}")
    return "\n".join([*lines, _memory(profile.peak_bytes)])


def _memory(peak_bytes: Mapping[str, int]) -> str:
    shown = [f"{value / 1e9:.2f} GB {name}" for name, value in peak_bytes.items()]
    return f"Peak memory: {', '.join(shown)}" if shown else "Peak memory: not known on this system"


def _costs_table(profile: Profile) -> Table:
    table = Table.grid(padding=(0, 2))
    table.title, table.title_justify = "The five most expensive parts of an epoch", "left"
    table.add_column(justify="right")
    for number, cost in enumerate(costs(profile)[:NUM_COSTS], start=1):
        table.add_row(
            f"{number}.", f"{cost.fraction:.0%}", terminal_lines(f"{cost.name}, {_time(cost.seconds_per_epoch)}")
        )
        table.add_row("", "", terminal_lines(cost.hint), style="dim")
    return table


def _time(seconds: float) -> str:
    if seconds >= 120:
        return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.3g} s"
