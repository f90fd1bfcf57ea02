"""Text that somebody else wrote, made harmless for each place that shows it: terminal, log, CSV, XML, HTML, plots.

Names of categories and files may hold ANSI escapes, marks that turn the direction of writing, formulas of a
spreadsheet, markup, or ten thousand letters. Data files (json, checkpoints) keep them as they are.
"""

from __future__ import annotations

import html
import logging
import re

from instseg.core.text import cut, visible, visible_lines

MAX_LINE = 2000  # letters of a line of a message
MAX_CELL = 60  # letters of a name in a table or plot
MAX_LABEL = 120  # letters of several names and their values in a plot
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First letters of what a spreadsheet computes."""
MARKUP = re.compile(r"(\\*)(\[[a-z#/@][^[]*?])")  # as rich.markup finds it
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def terminal_cell(value: object, limit: int = MAX_CELL) -> str:
    """Return a value as one line for rich, which takes no part of it for markup.

    Args:
        value: such as a name.
        limit: letters that are kept.
    """
    return _without_markup(visible(cut(str(value), limit)))


def terminal_lines(message: str) -> str:
    """Return a message of one or more lines for rich, which takes no part of it for markup."""
    return _without_markup(plain_lines(message))


def plain_lines(message: str) -> str:
    """Return a message of one or more lines, with what no eye sees written out and long lines cut."""
    return "\n".join(visible_lines(cut(line, MAX_LINE)) for line in message.split("\n"))


def _without_markup(text: str) -> str:
    escaped = MARKUP.sub(r"\1\1\\\2", text)
    ends_in_odd = (len(escaped) - len(escaped.rstrip("\\"))) % 2
    return f"{escaped}\\" if ends_in_odd else escaped


class LogFormatter(logging.Formatter):
    """Formatter whose lines hold nothing that a terminal would act on."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record.

        Args:
            record: of a logger.
        """
        return plain_lines(super().format(record))


def csv_cell(value: object) -> object:
    """Return a value for a cell: a number as it is, a text so that no spreadsheet computes it."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(FORMULA) or value.startswith(FORMULA) else text


def xml_text(value: str) -> str:
    """Return a text without the characters that XML does not have; its markup is the caller's to escape."""
    return NOT_IN_XML.sub("\ufffd", value)


def html_text(value: object, limit: int = MAX_LINE) -> str:
    """Return a text for a page, with what no eye sees written out and nothing that is markup.

    Args:
        value: such as a name.
        limit: letters that are kept.
    """
    return html.escape(xml_text(visible(cut(str(value), limit))))


def plot_label(value: object, limit: int = MAX_CELL) -> str:
    """Return a text for matplotlib, without formulas between dollar signs and shown in legends whatever it begins with.

    Args:
        value: such as a name.
        limit: letters that are kept.
    """
    label = visible(cut(str(value), limit)).replace("$", r"\$")
    return f"\u2009{label}" if label.startswith("_") else label
