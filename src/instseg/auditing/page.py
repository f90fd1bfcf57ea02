"""Audit report as one self-contained HTML file, with pictures, charts and style inside."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from pathlib import Path

from instseg.auditing.charts import category_bars, histogram, legend
from instseg.auditing.page_style import STYLE
from instseg.auditing.report import AuditFinding, AuditReport, Severity, Spot, Thumbnail, spread
from instseg.core.atomic import write_text_atomically
from instseg.core.channels import MAX_CELL, html_text
from instseg.core.text import MAX_NAMED, plural
from instseg.visualization.colours import category_colour
from instseg.visualization.jpeg import data_url
from instseg.visualization.page.links import Link, links_html
from instseg.visualization.page.parts import base_style, copy_script

MAX_KEYS = 30
"""Categories whose colours are explained."""
MAX_LISTED = 50
"""Names on the page; audit.json has more."""
HEADINGS = {
    Severity.FATAL: "Fatal: training would be pointless",
    Severity.WARNING: "Warnings: to be decided",
    Severity.INFO: "Remarks: good to know",
}


def write_audit_page(report: AuditReport, path: Path, links: Sequence[Link] = ()) -> None:
    """Write the report as a page of a few MB at most, atomically.

    Args:
        report: what to write.
        path: the HTML file.
        links: to reports of models on these data.
    """
    write_text_atomically(path, audit_page(report, links))


def audit_page(report: AuditReport, links: Sequence[Link] = ()) -> str:
    """Return the page's HTML.

    Args:
        report: what to write.
        links: to reports of models on these data.
    """
    title = html_text(report.name, MAX_CELL)
    findings = [_section(report, severity) for severity in Severity]
    sections = [_overview(report), _gallery(report), _charts(report), *findings]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} – audit</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{base_style()}{STYLE}</style></head><body><main><header><h1>{title}</h1>"
        f'<p class="hint">Audit of the labels · {html_text(report.fingerprint)}</p>{_verdict(report)}'
        f"{links_html(links)}</header>"
        f"{''.join(sections)}</main><script>{copy_script()}</script></body></html>\n"
    )


def _verdict(report: AuditReport) -> str:
    words = {Severity.FATAL: "fatal finding", Severity.WARNING: "warning", Severity.INFO: "remark"}
    badges = [
        f'<a class="badge {severity}" href="#{severity}">{plural(len(report.of(severity)), words[severity])}</a>'
        for severity in Severity
        if report.of(severity)
    ]
    return f'<p class="verdict">{" ".join(badges) or "Nothing was found."}</p>{_notes(report)}'


def _notes(report: AuditReport) -> str:
    return "".join(f'<p class="note">{html_text(note)}</p>' for note in report.notes)


def _overview(report: AuditReport) -> str:
    splits = report.splits
    rows = [
        ("images listed", [f"{f.num_listed:,}" for f in splits.values()]),
        ("images used", [f"{f.num_images:,}" for f in splits.values()]),
        ("… without any instance", [f"{f.num_empty:,}" for f in splits.values()]),
        ("instances", [f"{f.num_instances:,}" for f in splits.values()]),
        ("crowd regions", [f"{f.num_crowds:,}" for f in splits.values()]),
        ("categories present", [f"{int((f.per_category > 0).sum()):,}" for f in splits.values()]),
        ("instances per image", [spread(f.per_image) for f in splits.values()]),
        ("image width, px", [spread(f.image_sizes[:, 1]) for f in splits.values()]),
        ("image height, px", [spread(f.image_sizes[:, 0]) for f in splits.values()]),
        ("object side after resize, px", [spread(f.instance_sides) for f in splits.values()]),
    ]
    per_category = [
        (name, [f"{f.per_category[c]:,}" for f in splits.values()]) for c, name in enumerate(report.categories)
    ]
    return (
        f"<section><h2>What there is</h2>{_table(list(splits), rows)}"
        '<p class="hint">Sizes are smallest / median / largest.</p>'
        f"<details><summary>Instances of each category</summary>"
        f"{_table(list(splits), per_category)}</details></section>"
    )


def _table(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    head = "".join(f'<th class="number">{html_text(column)}</th>' for column in columns)
    body = "".join(
        f"<tr><th>{html_text(name, MAX_CELL)}</th>{''.join(f'<td>{html_text(value)}</td>' for value in values)}</tr>"
        for name, values in rows
    )
    return f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _gallery(report: AuditReport) -> str:
    """Show ordinary images with their labels, below the colours of the categories."""
    if not report.gallery:
        return ""
    keys = "".join(_key(label, name) for label, name in enumerate(report.categories[:MAX_KEYS], start=1))
    more = "…" if len(report.categories) > MAX_KEYS else ""
    pictures = "".join(f"<figure>{_image(picture)}</figure>" for picture in report.gallery)
    return (
        f'<section><h2>Images with their labels</h2><p class="keys">{keys}{more}</p>'
        f'<div class="gallery">{pictures}</div></section>'
    )


def _key(label: int, name: str) -> str:
    square = f'<span class="key" style="background:rgb{category_colour(label)}"></span>'
    return f'<span class="item">{square}{html_text(name, MAX_CELL)}</span> '


def _charts(report: AuditReport) -> str:
    splits = report.splits
    bars = category_bars(report.categories, {split: facts.per_category for split, facts in splits.items()})
    charts = [
        ("Instances of each category", bars),
        (
            "Object size after the resize; lines are the anchors",
            histogram({s: f.instance_sides for s, f in splits.items()}, "px, square root of the box area",
                      marks=report.anchor_sizes),
        ),
        ("Instances per image", histogram({s: f.per_image for s, f in splits.items()}, "instances", whole=True)),
        (
            "Image size",
            histogram({s: f.image_sizes.max(axis=1, initial=0) for s, f in splits.items()}, "px, longer side"),
        ),
    ]  # fmt: skip
    figures = "".join(
        f"<figure><figcaption>{html_text(name)}</figcaption>{svg}</figure>" for name, svg in charts if svg
    )
    heading = f"<h2>Distributions <small>{legend(list(splits))}</small></h2>"
    return f'<section>{heading}<div class="charts">{figures}</div></section>'


def _section(report: AuditReport, severity: Severity) -> str:
    findings = report.of(severity)
    if not findings:
        return ""
    return f'<section id="{severity}"><h2>{HEADINGS[severity]}</h2>{"".join(map(_finding, findings))}</section>'


def _finding(finding: AuditFinding) -> str:
    counts = " · ".join(f"{html_text(split)} {count:,}" for split, count in finding.counts.items())
    pictures = "".join(map(_figure, finding.thumbnails))
    return (
        f'<article class="{finding.severity}" id="{html_text(finding.kind)}">'
        f"<h3>{html_text(finding.title)}: <b>{finding.count:,}</b></h3>"
        f'<p class="where"><span class="kind">{html_text(finding.kind)}</span> {counts}</p>'
        f"{_names(finding)}<p>{html_text(finding.advice)}</p>{''.join(map(_command, finding.commands))}"
        + (f'<div class="thumbnails">{pictures}</div>' if pictures else "")
        + "</article>"
    )


def _names(finding: AuditFinding) -> str:
    if not finding.spots:
        return ""
    first, rest = finding.spots[:3], finding.spots[3:MAX_LISTED]
    shown = f'<ul class="names">{"".join(_name_items(first))}</ul>'
    if not rest:
        return shown
    left = finding.count - len(first)
    more = "<li>… the rest is in audit.json and findings.json</li>" if left > len(rest) else ""
    items = "".join(_name_items(rest))
    return f'{shown}<details><summary>{left:,} more</summary><ul class="names">{items}{more}</ul></details>'


def _name_items(spots: Sequence[Spot]) -> Iterator[str]:
    for spot in spots:
        detail = f" <span>{html_text(spot.detail)}</span>" if spot.detail else ""
        yield f"<li><code>{html_text(spot.name, MAX_NAMED)}</code>{detail}</li>"


def _command(command: str) -> str:
    return f'<pre><code>{html.escape(command)}</code><button type="button">copy</button></pre>'


def _figure(thumbnail: Thumbnail) -> str:
    return f'<figure style="width:{thumbnail.width}px">{_image(thumbnail)}</figure>'


def _image(thumbnail: Thumbnail) -> str:
    source, caption = data_url(thumbnail.jpeg), html_text(thumbnail.caption)
    return f'<img src="{source}" alt="{caption}" loading="lazy"><figcaption>{caption}</figcaption>'
