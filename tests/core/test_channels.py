"""Names that somebody else wrote do no harm on a terminal, in a log, a table, a page or a plot."""

from __future__ import annotations

import csv
import io
import logging
import unicodedata
from xml.dom.minidom import parseString
from xml.sax.saxutils import quoteattr

import pytest
from rich.console import Console

from instseg.core.channels import (
    LogFormatter,
    csv_cell,
    html_text,
    plot_label,
    terminal_cell,
    terminal_lines,
    xml_text,
)

HOSTILE = {
    "ANSI": "\x1b[31mred\x1b]0;title\x07",
    "C1": "\x9b31mred",
    "backspace": "a\b\b\rb",
    "direction": "\u202egnp.exe\u202c",
    "separator": "a\u2028b",
    "surrogate": "\ud800",
    "no character": "\ufffe\uffff",
    "NUL": "a\0b",
    "markup of rich": "[bold]x[/] [/]\\",
    "markup of a page": "<script>alert('1')</script>&amp;",
    "formula of a table": "=cmd|' /C calc'!A0",
    "formula of a plot": "_$x^$",
    "ten thousand letters": "x" * 10_000,
}
every_name = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)


def obeyed(text: str) -> set[str]:
    """What a terminal obeys in a text, or cannot write."""
    return {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


@every_name
@pytest.mark.parametrize("shown", [terminal_cell, terminal_lines])
def test_a_terminal_shows_a_name_letter_by_letter(name, shown):
    file = io.StringIO()
    Console(file=file, force_terminal=False, width=20_000, soft_wrap=True).print(shown(f"{name}."), highlight=False)
    assert not obeyed(file.getvalue()) and len(file.getvalue()) <= 2_001
    if not obeyed(name) and len(name) < 60:
        assert file.getvalue() == f"{name}.\n"


@every_name
def test_a_line_of_the_log_stays_one_line_and_is_cut(name):
    record = logging.LogRecord("x", logging.INFO, "", 1, "found %s\nbeside others", (name,), None)
    first, second = LogFormatter("%(levelname)s %(message)s").format(record).split("\n")
    assert first.startswith("INFO found ") and second == "beside others"
    assert not obeyed(first) and len(first) <= 2_100


@every_name
def test_a_spreadsheet_computes_no_cell(name):
    text = io.StringIO()
    csv.writer(text).writerow([csv_cell(name), csv_cell(-1.5), csv_cell(None)])
    (row,) = csv.reader(io.StringIO(text.getvalue()))
    assert not row[0].startswith(("=", "+", "-", "@")) and not obeyed(row[0]) and row[1:] == ["-1.5", ""]


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_every_first_letter_of_a_formula_is_told_to_be_text(start):
    assert str(csv_cell(start)).startswith("'")


@every_name
def test_xml_and_pages_stay_whole(name):
    document = parseString(f"<x a={quoteattr(xml_text(name))}>{html_text(name)}</x>".encode())
    assert not document.documentElement.getElementsByTagName("*")
    assert len(html_text(name)) <= 2_000


@every_name
def test_a_label_of_a_plot_is_short_and_no_formula(name):
    label = plot_label(name)
    assert not obeyed(label) and not label.startswith("_") and "$" not in label.replace("\\$", "")
    assert len(label) <= 60 * len("⟨U+0000⟩")
