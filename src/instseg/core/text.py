"""Text for messages and file names."""

from __future__ import annotations

import difflib
import math
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

MAX_NAME_BYTES = 255  # of file systems
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")
"""Categories of Unicode: control and format characters, surrogates, separators, spaces of other widths."""
OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Those of them that a terminal obeys, or cannot write."""
MAX_PRINTED = 60  # characters of a value in a message
MAX_NAMED = 400  # characters of a name in a list, which may come with a reason


def list_names(names: Iterable[object], limit: int = 8) -> str:
    """Return the first of the names for a message: ``a, b, c and 12 more``; ``nothing`` where there are none.

    Args:
        names: anything that has a text.
        limit: how many are named, the others being counted.
    """
    listed = [str(name) for name in names]
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return (", ".join(visible_lines(cut(name, MAX_NAMED)) for name in listed[:limit]) + more) or "nothing"


def did_you_mean(close: Sequence[str]) -> str:
    """Return the sentence of a message that names what is spelt similarly, after a blank; empty for nothing.

    Args:
        close: names, the closest first.
    """
    return f" Did you mean {' or '.join(close)}?" if close else ""


def similar_names(name: str, names: Iterable[str]) -> list[str]:
    """Return up to three names that are spelt similarly, those that differ in nothing but case first.

    Args:
        name: that there is not.
        names: all that there are.
    """
    known = list(names)
    same = [other for other in known if other.casefold() == name.casefold()]
    return same or difflib.get_close_matches(name, known, n=3)


def printable(value: object) -> str:
    """Return the start of any value's text for a message: one line, in characters that every terminal has."""
    return str(value)[:MAX_PRINTED].encode("unicode_escape").decode()


def usable_text(value: object) -> str:
    """Return a text that any file name, file and terminal can hold; empty for everything else."""
    if not isinstance(value, str) or "\0" in value:
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:  # half a pair of surrogates, which json can spell
        return ""
    return value


def is_file_name(name: str) -> bool:
    """Tell whether a ``usable_text`` without folders can name a file: not empty, not ``..``, not too long."""
    return name not in ("", ".", "..") and len(name.encode()) <= MAX_NAME_BYTES


def visible(text: str) -> str:
    """Return the text with what no eye sees written out: ``car⟨U+200B⟩``, and ``␣`` for spaces at either end."""
    inner = text.strip(" ")
    start = len(text) - len(text.lstrip(" "))
    shown = "".join(f"⟨U+{ord(c):04X}⟩" if _is_hidden(c) else c for c in inner)
    return "␣" * start + shown + "␣" * (len(text) - start - len(inner))


def visible_lines(text: str) -> str:
    """Return the text with what a terminal obeys written out: control and format characters, but no tabs and spaces."""
    return "".join(f"⟨U+{ord(c):04X}⟩" if c != "\t" and unicodedata.category(c) in OBEYED else c for c in text)


def cut(text: str, limit: int) -> str:
    """Return a text of at most so many letters, the last being an ellipsis where some are left out.

    Args:
        text: any.
        limit: number of letters.
    """
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def without_hidden(text: str) -> str:
    """Return the text without the characters that ``visible`` writes out, spaces at its ends aside."""
    return "".join(character for character in text if not _is_hidden(character))


def _is_hidden(character: str) -> bool:
    return character != " " and unicodedata.category(character) in HIDDEN


def plural(count: int, noun: str) -> str:
    """Return the noun with its count: ``1 instance``, ``2 instances``, ``3 categories``, ``4 batches``.

    Args:
        count: of the things.
        noun: in the singular, whose plural ends in s.
    """
    hisses = noun.endswith(("s", "ch")) and not noun.endswith("epoch")
    nouns = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}es" if hisses else f"{noun}s"
    return f"{count:,} {noun if count == 1 else nouns}"


def duration(seconds: float) -> str:
    """Return a time as a clock shows it: ``0:42``, ``12:05``, ``3:02:11``; a dash where it is not finite.

    Args:
        seconds: how long; from ten hours rounded to minutes, ``27 h 46``, from two days to hours, ``3 d 4 h``.
    """
    if not math.isfinite(seconds):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    if hours >= 10:
        return f"{hours} h {minutes:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def utf8_text(text: str) -> str:
    """Return a text with escapes for what UTF-8 has no bytes for, such as parts of file names in another encoding."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def path_text(path: Path) -> str:
    """Return a path as text, with escapes for the bytes in it that are no UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
