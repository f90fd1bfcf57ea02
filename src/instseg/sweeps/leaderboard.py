"""The leaderboard of a sweep, now or at its end.

A table in the terminal; in the sweep's folder ``leaderboard.csv``, ``leaderboard.png`` and a TensorBoard folder that
shows the jobs' curves together and, in its HPARAMS tab, their values. May be called while the sweep is running.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from instseg.core.channels import terminal_cell, terminal_lines
from instseg.core.errors import InstsegError
from instseg.core.text import list_names, plural
from instseg.sweeps.comparison import sentence
from instseg.sweeps.hparams import write_hparams
from instseg.sweeps.plots import plot_values
from instseg.sweeps.ranking import Row, compare_records, decimals, leaves, ranked, short, write_csv
from instseg.sweeps.records import DONE, FAILED, PRUNED, SweepInfo
from instseg.sweeps.strategies import build_strategy
from instseg.sweeps.strategy import Strategy
from instseg.sweeps.sweep_folder import SweepFolder

COLOURS = {DONE: "green", PRUNED: "yellow", FAILED: "red"}
MAX_REASONS = 10
"""Only this many are printed; the CSV has all."""
NOT_OURS = (
    "This sweep has a strategy of your own, which its file does not name: no job is called the best, and what the "
    "strategy says of the jobs is printed by the sweep itself, at its end or with resume=<its folder>."
)


def show_leaderboard(folder: SweepFolder, strategy: Strategy | None = None) -> None:
    """Print the table and what the jobs say together; write CSV, plot and TensorBoard's files.

    Args:
        folder: of the sweep.
        strategy: that chose the jobs; None: the one that the file of the sweep names.

    Raises:
        RecordError: a file of the sweep, or of one of its runs, is damaged, or leads to a run of elsewhere.
    """
    info = folder.read_info()
    strategy = strategy or strategy_of(info, str(folder.info_file))
    axes = [strategy.axis] if strategy and strategy.axis else []
    records = folder.records([*info.values, *axes])
    for record in records:
        folder.check_run(record)
    rows = ranked(records, info)
    if strategy is None or not strategy.has_best_job:
        rows = [replace(row, rank=None) for row in rows]
    console = Console()
    console.print(_title(rows, info), highlight=False)
    console.print(_table(rows, info))
    _print_failures(rows, console)
    report = [NOT_OURS] if strategy is None else strategy.report(records, info, folder.path)
    lines = [*report, *_best_two(rows, info)]
    for line in lines:
        console.print(terminal_lines(line), highlight=False, soft_wrap=True)
    write_csv(folder.path / "leaderboard.csv", rows, info)
    if _has_metric(rows):
        plot_values(rows, info, folder.path / "leaderboard.png")
        write_hparams(folder.path / "tensorboard", rows, info)
    for name, what in _places(rows, folder.path):
        console.print(f"{name + ':':<16} {what}", markup=False, highlight=False, soft_wrap=True)


def _places(rows: Sequence[Row], folder: Path) -> list[tuple[str, str]]:
    best = [("best run", str(rows[0].record.run_dir))] if rows and rows[0].rank else []
    table = ("table", str(folder / "leaderboard.csv"))
    if not _has_metric(rows):
        return [table]
    look = f"tensorboard --logdir {folder / 'tensorboard'}   (curves, and its HPARAMS tab)"
    return [*best, table, ("plot", str(folder / "leaderboard.png")), ("look", look)]


def _has_metric(rows: Sequence[Row]) -> bool:
    """Tell whether there is anything to draw: a job may be refused before it measures."""
    return any(row.metric is not None for row in rows)


def strategy_of(info: SweepInfo, where: str) -> Strategy | None:
    """Build the strategy that the file of a sweep names, to let it say what its jobs mean.

    Args:
        info: content of the file.
        where: the file.

    Returns:
        The strategy; None where it is the user's own, because a file names no code.

    Raises:
        InstsegError: there is no such strategy, or an option has no such value.
    """
    return None if info.strategy is None else build_strategy(info.strategy, info.options, where)


def _title(rows: Sequence[Row], info: SweepInfo) -> str:
    counts = {state: sum(row.record.state == state for row in rows) for state in (DONE, PRUNED, FAILED)}
    others = len(rows) - sum(counts.values())
    said = ", ".join(f"{n} {state}" for state, n in [*counts.items(), ("open", others)] if n) or "no job yet"
    return f"[bold]{terminal_lines(info.metric.removeprefix('val/'))} of {plural(len(rows), 'job')}:[/] {said}"


def _table(rows: Sequence[Row], info: SweepInfo) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)  # narrow: there may be many columns
    table.add_column("", justify="right")
    table.add_column("job", justify="right")
    for name in leaves(info.values):
        table.add_column(name, overflow="fold")
    for name in ("val", "test", "minutes"):
        table.add_column(name, justify="right")
    table.add_column("state")
    for row in rows:
        table.add_row(*_cells(row, info), style="bold" if row.rank == 1 else None)
    return table


def _cells(row: Row, info: SweepInfo) -> list[str]:
    record = row.record
    values = [terminal_cell(short(record.values.get(key, ""))) for key in info.values]
    numbers = ["–" if value is None else decimals(value) for value in (row.metric, row.tested)]
    colour = COLOURS.get(record.state, "cyan")
    state = f"[{colour}]{record.kind or record.state}[/]"
    rank = str(row.rank) if row.rank else ""
    return [rank, str(record.number), *values, *numbers, f"{record.seconds / 60:.1f}", state]


def _print_failures(rows: Sequence[Row], console: Console) -> None:
    """Print each reason once, with the jobs that it ended."""
    numbers: dict[str, list[str]] = {}
    for row in rows:
        if row.record.state == FAILED:
            numbers.setdefault(row.record.reason or "", []).append(str(row.record.number))
    for reason, jobs in list(numbers.items())[:MAX_REASONS]:
        names = f"{'jobs' if len(jobs) > 1 else 'job'} {list_names(jobs)}"
        console.print(f"[red]{names} failed:[/] {terminal_lines(reason)}", soft_wrap=True, highlight=False)
    if len(numbers) > MAX_REASONS:
        console.print(f"and {plural(len(numbers) - MAX_REASONS, 'more reason')}: see leaderboard.csv")


def _best_two(rows: Sequence[Row], info: SweepInfo) -> list[str]:
    """Tell whether the best job is better than the next one beyond chance, on the test images."""
    best = [row.record for row in rows if row.rank][:2]
    if len(best) < 2:
        return []
    metric = info.metric.removeprefix("val/")
    names = f"job {best[0].number}", f"job {best[1].number}"
    try:
        found = compare_records(best[0], best[1], metric)
    except InstsegError as error:
        return [f"The best two, {names[0]} and {names[1]}, are not compared on test images: {error}"]
    return [f"The best two: {sentence(found, metric, *names)}"]
