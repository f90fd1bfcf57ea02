"""Typed reading of every file that this package wrote: one struct a kind, one reader, one kind of error.

A file's struct derives from ``Record``. Whatever is wrong with the file (missing, truncated, of another version, a
value of another type anywhere in it) is a ``RecordError`` that names file, field, expected, found, and what to do.
Nothing that stands in a record names code: a struct's fields are numbers, texts, and lists and mappings of these.
"""

from __future__ import annotations

import json
import math
import re
import stat
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec

from instseg.core.atomic import write_text_atomically
from instseg.core.errors import InstsegError
from instseg.core.text import printable, utf8_text

INVALID = (msgspec.MsgspecError, ValueError, RecursionError)
OF_FOREIGN_VALUES = (AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Errors of values such as tensors, which msgspec takes for mappings where it expects one."""
MAX_JSON_BYTES = 2**30
"""More than any file of ours has."""
MISMATCH = re.compile(r"(?P<what>.*?)(?: - at `(?P<where>.+)`)?", re.DOTALL)
OUT_OF_RANGE = "Expected "  # such as "Expected `int` >= 0"
OF_A_KEY = "key` in `"
KINDS = re.compile(r"Expected (?P<expected>.+), got (?P<found>.+)", re.DOTALL)
UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.+)`", re.DOTALL)
ABSENT = re.compile(r"Object missing required field `(?P<name>.+)`")


class RecordError(InstsegError):
    """A file that this package wrote does not hold what it once did, or another version wrote it."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The content of one kind of file.

    ``version`` is that of the layout: a subclass raises ``VERSION`` when its fields change their meaning, and lists in
    ``READABLE`` what it still understands. A file without one is of version 1.
    """

    VERSION: ClassVar[int] = 1
    READABLE: ClassVar[tuple[int, ...]] = (1,)
    version: int = 1


Kind = TypeVar("Kind", bound=Record)
Plain = TypeVar("Plain")


class _Version(msgspec.Struct):
    version: int = 1


def read_record(path: Path, kind: type[Kind], remedy: str) -> Kind:
    """Read a json file that holds one record.

    Args:
        path: the file.
        kind: its struct.
        remedy: what the user can do where the file is of no use, as the end of the message.

    Raises:
        RecordError: the file is missing, damaged or of another version.
    """
    return parse_record(read_bytes(path, remedy), kind, str(path), remedy)


def read_plain(path: Path, kind: type[Plain], remedy: str) -> Plain:
    """Read a json file whose layout is fixed, such as a flat mapping, and which therefore has no version.

    Args:
        path: the file.
        kind: its type, such as ``dict[str, float]``.
        remedy: as in ``read_record``.

    Raises:
        RecordError: the file is missing or damaged.
    """
    return convert_plain(_parsed(read_bytes(path, remedy), str(path), remedy), kind, str(path), remedy)


def read_bytes(path: Path, remedy: str, max_bytes: int = MAX_JSON_BYTES) -> bytes:
    """Read a whole file.

    Args:
        path: the file.
        remedy: as in ``read_record``.
        max_bytes: the largest size that is read.

    Raises:
        RecordError: the file is missing, no regular file, or larger.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for, a device read for ever
            raise RecordError(f"{path}: expected a file, found a folder or device; {remedy}")
        if found.st_size > max_bytes:
            raise RecordError(f"{path}: expected at most {max_bytes} bytes, found {found.st_size}; {remedy}")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise RecordError(f"{path}: expected a file, found none; {remedy}") from error
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror or error}; {remedy}") from error


def parse_record(content: bytes | str, kind: type[Kind], where: str, remedy: str) -> Kind:
    """Parse the json text of one record.

    Args:
        content: the text.
        kind: its struct.
        where: its origin, for messages.
        remedy: as in ``read_record``.

    Raises:
        RecordError: the text is no such record.
    """
    return convert_record(_parsed(content, where, remedy), kind, where, remedy)


def _parsed(content: bytes | str, where: str, remedy: str) -> object:
    """Parse strict json. Not by msgspec: names of files that are no UTF-8 hold lone surrogates, which it refuses."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        return json.loads(text, parse_constant=_refused, parse_float=_finite)
    except INVALID as error:
        raise _explained(error, where, remedy) from error


def _finite(text: str) -> float:
    return number if math.isfinite(number := float(text)) else _refused(text)


def _refused(text: str) -> float:
    raise ValueError(f"{text[:20]} is no number that json has")


def convert_record(content: object, kind: type[Kind], where: str, remedy: str) -> Kind:
    """Convert plain containers, such as those within a checkpoint, to one record.

    Args:
        content: the containers.
        kind: the struct.
        where: their origin, for messages.
        remedy: as in ``read_record``.

    Raises:
        RecordError: the containers hold no such record.
    """
    check_version(convert_plain(content, _Version, where, remedy).version, kind, where, remedy)
    return convert_plain(content, kind, where, remedy)


def convert_plain(content: object, kind: type[Plain], where: str, remedy: str) -> Plain:
    """Convert plain containers to a type that has no version of its own.

    Args:
        content: the containers.
        kind: the type.
        where: their origin, for messages.
        remedy: as in ``read_record``.

    Raises:
        RecordError: the containers do not hold it.
    """
    try:
        return msgspec.convert(content, kind)
    except (*INVALID, *OF_FOREIGN_VALUES) as error:
        raise _explained(error, where, remedy) from error


def check_version(found: int, kind: type[Record], where: str, remedy: str) -> None:
    """Require a version of the layout that can be read.

    Args:
        found: the version of the file.
        kind: the struct.
        where: origin of the record, for the message.
        remedy: as in ``read_record``.

    Raises:
        RecordError: ``kind`` cannot read that version.
    """
    if found in (kind.VERSION, *kind.READABLE):
        return
    advice = "update instseg, or " if found > kind.VERSION else ""
    raise RecordError(f"{where}: field version: expected {kind.VERSION}, found {found}; {advice}{remedy}")


def write_record(path: Path, record: Record) -> None:
    """Write a record as indented json, atomically, with the version of its kind.

    Args:
        path: the file; its folder is made where it is missing.
        record: the content.
    """
    write_text_atomically(path, format_record(record))


def format_record(record: Record) -> str:
    """Return a record as indented json text with the version of its kind."""
    stamped = msgspec.structs.replace(record, version=record.VERSION)
    text = json.dumps(msgspec.to_builtins(stamped), indent=2, ensure_ascii=False, allow_nan=False)
    return utf8_text(text) + "\n"


def _explained(error: Exception, where: str, remedy: str) -> RecordError:
    """Put msgspec's message into this project's form: file, field, expected, found, what to do."""
    text = str(error) or type(error).__name__
    match = MISMATCH.fullmatch(text)
    what, place = (match["what"], match["where"] or "") if match else (text, "")
    name, expected, found = _expectation(what)
    inside = ".".join(filter(None, (_without_root(place), name)))
    inside, is_key = _without_root(inside.removeprefix(OF_A_KEY)), inside.startswith(OF_A_KEY)
    field = (f"a key of {inside or 'its mapping'}: " if is_key else f"field {inside}: ") if inside or is_key else ""
    return RecordError(f"{where}: {field}expected {expected}, found {found}; {remedy}")


def _without_root(place: str) -> str:
    """Return a path such as ``$.a.b`` without the ``$`` of the whole."""
    return place.removeprefix("$").removeprefix(".")


def _expectation(what: str) -> tuple[str, str, str]:
    """Return the name of a field that is absent or unknown, else "", then what was expected and what was found."""
    if kinds := KINDS.fullmatch(what):
        return "", kinds["expected"], kinds["found"]
    if absent := ABSENT.fullmatch(what):
        return absent["name"], "a value", "none"
    if unknown := UNKNOWN.fullmatch(what):
        return printable(unknown["name"]), "no such field", "one"
    if what.startswith(OUT_OF_RANGE):
        return "", what.removeprefix(OUT_OF_RANGE), "another"
    return "", "a valid record", f"a damaged one ({what})"
