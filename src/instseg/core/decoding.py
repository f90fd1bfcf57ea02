"""Text of files in any encoding: UTF-8 and UTF-16 for certain, others by the letters that come out."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass

CHINESE = "gb18030"
EVEN_RUNS = re.compile(rb"(?:[\xa1-\xfe]{2})+")
"""Letters of GB 2312 are two bytes each, both above 0xa0; accents of Latin letters mostly stand alone."""
ANY_RUNS = re.compile(rb"[\x80-\xff]+")
LONE_RUNS = re.compile(rb"(?<![A-Za-z\x80-\xff])[\x80-\xff]{2,4}(?![A-Za-z\x80-\xff])")
SCRIPTS = {CHINESE: ("CJK",), "shift_jis": ("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH")}
NEUTRAL = ("FULLWIDTH", "IDEOGRAPHIC", "LEFT", "RIGHT", "LATIN", "MIDDLE")


@dataclass(frozen=True, slots=True)
class EncodingDoubt:
    """The reason why a text may have been written in another encoding than it was read in.

    Attributes:
        encoding: the one it was read in.
        chinese: the letters beyond ASCII, read as gb18030, where the bytes are text in both; else "".
    """

    encoding: str
    chinese: str = ""

    def __str__(self) -> str:
        return f"{self.encoding}, but it may be {CHINESE}: {self.chinese}" if self.chinese else self.encoding


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


def other_reading(data: bytes) -> str | None:
    """Return the Chinese text that a UTF-8 text may be instead; None where its letters leave no doubt.

    A letter of GB 2312 and an accented letter of UTF-8 can be the same two bytes: C5 A3 is a cow in the one and ţ in
    the other. Accents that stand alone, without a letter beside them, are doubtful.

    Args:
        data: bytes of UTF-8.
    """
    runs = [] if data.isascii() else LONE_RUNS.findall(data)
    if not runs or len(runs) != len(ANY_RUNS.findall(data)) or not all(map(EVEN_RUNS.fullmatch, runs)):
        return None
    accents = b"".join(runs).decode("utf-8", "replace")
    is_latin = all(unicodedata.name(letter, "").startswith("LATIN") for letter in accents)
    return _strictly(b" ".join(dict.fromkeys(runs)), CHINESE) if is_latin else None


def _guessed(data: bytes) -> tuple[str, str]:
    runs = ANY_RUNS.findall(data)
    if all(map(EVEN_RUNS.fullmatch, runs)) and (text := _strictly(data, CHINESE)) is not None:
        return text, CHINESE
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
