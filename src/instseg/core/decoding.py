"""Text of files in any encoding: UTF-8 and UTF-16 for certain, others by the letters that come out."""

from __future__ import annotations

import json
import re
import unicodedata

EVEN_RUNS = re.compile(rb"(?:[\xa1-\xfe]{2})+")
"""Letters of GB 2312 are two bytes each, both above 0xa0; accents of Latin letters mostly stand alone."""
SCRIPTS = {"gb18030": ("CJK",), "shift_jis": ("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH")}
NEUTRAL = ("FULLWIDTH", "IDEOGRAPHIC", "LEFT", "RIGHT", "LATIN", "MIDDLE")


def decode_text(data: bytes) -> tuple[str, str]:
    """Decode the bytes of a text file.

    Args:
        data: all of it.

    Returns:
        The text without a byte order mark, and the name of its encoding: ``utf-8``, ``utf-16``, … or one that was
        guessed: ``gb18030``, ``shift_jis``, ``cp1252``.
    """
    encoding = json.detect_encoding(data)
    if encoding == "utf-8-sig":
        return data.decode(encoding, "replace"), "utf-8"
    if encoding.startswith(("utf-16", "utf-32")) and b"\0" not in data[:2] + data[-2:] and len(data) % 2:
        encoding = "utf-8"
    try:
        return data.decode(encoding).removeprefix("\ufeff"), encoding
    except UnicodeDecodeError:
        return _guessed(data)


def _guessed(data: bytes) -> tuple[str, str]:
    runs = re.findall(rb"[\x80-\xff]+", data)
    if all(map(EVEN_RUNS.fullmatch, runs)) and (text := _strictly(data, "gb18030")) is not None:
        return text, "gb18030"
    if (text := _strictly(data, "shift_jis")) is not None:
        return text, "shift_jis"
    return data.decode("cp1252", "replace"), "cp1252"


def _strictly(data: bytes, encoding: str) -> str | None:
    """Decode a text whose letters beyond ASCII are all of the scripts of an encoding; None otherwise."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    letters = {character for character in text if ord(character) > 127}
    fits = all(unicodedata.name(character, "").startswith((*SCRIPTS[encoding], *NEUTRAL)) for character in letters)
    return text if fits else None
