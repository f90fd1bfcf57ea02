"""Audit report in a terminal: a table of numbers, and below it what to do about each finding."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from instseg.auditing.report import AuditFinding, AuditReport, Severity, spread
from instseg.core.channels import MAX_CELL, terminal_cell, terminal_lines
from instseg.core.text import cut, list_names, plural, visible, visible_lines
from instseg.data.reading.labels import UNSPLIT

STYLES = {Severity.FATAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
MAX_CATEGORIES = 40
"""Categories shown, the most frequent; the page has all."""


def print_audit(report: AuditReport, console: Console) -> None:
    """Print the numbers and findings of every split in a table, then what to do about each finding.

    Args:
        report: what to print.
        console: where to.
    """
    table = _counts_table(report)
    for row in _size_rows(report):
        table.add_row(*row)
    columns = _columns(report)
    for severity in Severity:
        findings = report.of(severity)
        if findings:
            table.add_section()
            for finding in findings:
                counts = (f"{finding.counts[c]:,}" if c in finding.counts else "" for c in columns)
                table.add_row(f"{_mark(finding)}: {terminal_lines(finding.title)}", *counts)
    console.print(table)
    _print_notes(report, console)
    for finding in report.findings:
        _print_way_out(finding, console)


def print_short(report: AuditReport, console: Console) -> None:
    """Print the short form that opens a training: instances per split and category, and a line per warning.

    Args:
        report: what to print.
        console: where to.
    """
    console.print(_counts_table(report))
    _print_notes(report, console)
    for finding in report.findings:
        if finding.severity != Severity.INFO:
            console.print(f"{_mark(finding)}: {terminal_lines(finding.told())}", highlight=False)
    remarks = len(report.of(Severity.INFO))
    more = f"{plural(remarks, 'remark')} more; " if remarks else ""
    console.print(f"[dim]{more}the same command with stage=audit looks closer, and shows all with pictures.[/]")


def _counts_table(report: AuditReport) -> Table:
    table = Table(title=terminal_cell(f"Dataset {report.name} ({report.fingerprint})"), title_justify="left")
    table.add_column("category", min_width=12)
    for column in _columns(report):
        table.add_column("undivided" if column == UNSPLIT else column, justify="right")
    for row in _category_rows(report):
        table.add_row(*row)
    table.add_section()
    rows: dict[str, list[int]] = {
        "instances": [facts.num_instances for facts in report.splits.values()],
        "crowd regions": [facts.num_crowds for facts in report.splits.values()],
        "images": [facts.num_images for facts in report.splits.values()],
        "… without any": [facts.num_empty for facts in report.splits.values()],
        "… that cannot be used": [facts.num_listed - facts.num_images for facts in report.splits.values()],
    }
    for name, values in rows.items():
        if any(values) or name in ("instances", "images"):
            table.add_row(name, *(f"{value:,}" for value in values))
    return table


def _columns(report: AuditReport) -> list[str]:
    """List the splits, and the source of findings from before the labels were split."""
    others = {split for finding in report.findings for split in finding.counts if split not in report.splits}
    return [*report.splits, *sorted(others)]


def _category_rows(report: AuditReport) -> Iterator[list[str]]:
    order = range(len(report.categories))
    totals = [sum(int(facts.per_category[c]) for facts in report.splits.values()) for c in order]
    shown = set(sorted(order, key=lambda c: -totals[c])[:MAX_CATEGORIES]) if report.splits else set()
    for c in order:
        if c in shown:
            yield [terminal_cell(report.categories[c]), *(f"{f.per_category[c]:,}" for f in report.splits.values())]
    rest = [c for c in order if c not in shown]
    if rest:
        yield [f"… {len(rest)} more", *(f"{int(f.per_category[rest].sum()):,}" for f in report.splits.values())]


def _size_rows(report: AuditReport) -> Iterator[list[str]]:
    """Yield rows of min, median and max of what has a size."""

    def row(name: str, *values: str) -> list[str]:
        return [name, *values]

    splits = report.splits.values()
    yield row("instances per image", *(spread(facts.per_image) for facts in splits))
    yield row("image height, px", *(spread(facts.image_sizes[:, 0]) for facts in splits))
    yield row("image width, px", *(spread(facts.image_sizes[:, 1]) for facts in splits))
    yield row("object side after resize, px", *(spread(facts.instance_sides) for facts in splits))


def _mark(finding: AuditFinding) -> str:
    return f"[{STYLES[finding.severity]}]{finding.severity}[/]"


def _print_notes(report: AuditReport, console: Console) -> None:
    for note in report.notes:
        console.print(f"[yellow]note:[/] {terminal_lines(note)}")


def _print_way_out(finding: AuditFinding, console: Console) -> None:
    console.print(f"\n{_mark(finding)}: [bold]{terminal_lines(finding.title)}: {finding.count:,}[/]", highlight=False)
    named = ((cut(visible(spot.name), MAX_CELL), spot.detail) for spot in finding.spots)
    told = dict.fromkeys(f"{name} ({detail})" if detail else name for name, detail in named)
    if told:
        console.print(f"  {list_names(told, 3)}", markup=False, highlight=False, style="dim")
    console.print(f"  {finding.advice}", markup=False, highlight=False)
    for command in finding.commands:
        console.print(f"  → {visible_lines(command)}", markup=False, highlight=False, soft_wrap=True, style="green")
