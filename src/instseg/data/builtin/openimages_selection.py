"""Choice of the images and masks of some classes of Open Images from the official tables; downloads nothing.

The tables are read as streams (the largest has 2.7 million rows in 807 MB): only the ids of the images that show one of
the classes are kept in memory.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from instseg.core.atomic import replacing
from instseg.core.errors import InstsegError

IMAGE_ID = re.compile(r"[0-9a-f]{16}")
MASK_PATH = re.compile(r"(?P<image_id>[0-9a-f]{16})_\w+\.png", re.ASCII)
"""Image, class and box; no name that it allows leads out of a folder."""


def check_classes(path: Path) -> None:
    """Raise InstsegError if a list or table of classes is empty."""
    if not _mids(path):
        raise InstsegError(f"{path}: expected rows that begin with a class such as /m/01yrx, found none")


def _mids(path: Path) -> dict[str, list[str]]:
    """Return mid -> row of a table of classes with or without a header, or of a list with one mid per line."""
    with _rows(path) as rows:
        return {row[0]: row for row in rows if row and row[0].startswith("/")}


def select_classes(descriptions: Path, names: Sequence[str]) -> dict[str, str]:
    """Find the mids of classes in the official table of class descriptions.

    Args:
        descriptions: the table.
        names: of the classes.

    Returns:
        mid -> name.

    Raises:
        InstsegError: a class does not exist; the message lists similar ones.
    """
    known = {mid: row[1] for mid, row in _mids(descriptions).items() if len(row) > 1}
    for name in names:
        if name not in known.values():
            close = ", ".join(f"{near} ({mid})" for mid, near in _close_to(name, known).items())
            raise InstsegError(
                f"openimages: categories: none of the {len(known)} classes is called {name!r}; "
                + (f"close to it: {close}" if close else f"they are listed in {descriptions}")
            )
    return {mid: name for mid, name in known.items() if name in names}


def _close_to(name: str, known: Mapping[str, str]) -> dict[str, str]:
    """Return mid -> name of the classes with a similar spelling, with the name as a word, or with this mid."""
    wanted = name.lower()
    alike = difflib.get_close_matches(wanted, [other.lower() for other in known.values()], n=6)
    return {
        mid: other
        for mid, other in known.items()
        if other.lower() in alike or wanted in other.lower().split() or name == mid
    }


def check_have_masks(classes_with_masks: Path, classes: Mapping[str, str]) -> None:
    """Check that every class has masks.

    Args:
        classes_with_masks: the official list.
        classes: mid -> name.

    Raises:
        InstsegError: a class is not in the list.
    """
    listed = _mids(classes_with_masks)
    without = [f"{name} ({mid})" for mid, name in classes.items() if mid not in listed]
    if without:
        raise InstsegError(
            f"openimages: categories: only {len(listed)} of the boxable classes have masks, and not "
            f"{', '.join(without)}: leave it out, or set dataset.masks=false to train on boxes"
        )


def write_classes(path: Path, classes: Mapping[str, str]) -> None:
    """Write a table of class descriptions.

    Args:
        path: its file.
        classes: mid -> name.
    """
    with replacing(path, sync=True) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("LabelName", "DisplayName"), *classes.items()])


def check_table(table: Path, columns: Collection[str]) -> None:
    """Check the header of a table.

    Args:
        table: a csv file.
        columns: that it must have.

    Raises:
        InstsegError: a column is missing.
    """
    with _rows(table) as rows:
        header = next(rows, [])
    if not set(columns) <= set(header):
        raise InstsegError(f"{table}: expected a table with the columns {', '.join(columns)}, found {header[:12]}")


def filter_table(table: Path, target: Path, column: str, values: Collection[str]) -> None:
    """Write the header and the matching rows of a table, atomically.

    Args:
        table: the source.
        target: the destination; may be ``table``.
        column: its name.
        values: rows with one of them in the column match.

    Raises:
        InstsegError: a row is truncated, or has an invalid ImageID or MaskPath: these become file names and URLs.
    """
    check_table(table, ["ImageID", column])
    wanted = frozenset(values)
    with (
        replacing(
            target, sync=True
        ) as scratch,  # first, to rename last: ``target`` may be ``table``, and open till then
        _rows(table) as rows,
        scratch.open("w", newline="", encoding="utf-8") as file,
    ):
        header, writer = next(rows), csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        position = header.index(column)
        for number, row in enumerate(rows, start=2):
            if len(row) > position and row[position] in wanted:
                _check_row(header, row, f"{table}: row {number}")
                writer.writerow(row)


def _check_row(header: Sequence[str], row: Sequence[str], where: str) -> None:
    if len(row) != len(header):
        raise InstsegError(
            f"{where}: expected {len(header)} columns, got {len(row)}: {row}; delete it to fetch it again"
        )
    values = dict(zip(header, row, strict=True))
    image_id, mask_path = values["ImageID"], values.get("MaskPath")
    if not IMAGE_ID.fullmatch(image_id):
        raise InstsegError(f"{where}: expected an ImageID of 16 hexadecimal digits, got {image_id!r}")
    if mask_path is not None:
        match = MASK_PATH.fullmatch(mask_path)
        if match is None or match["image_id"] != image_id:
            raise InstsegError(
                f"{where}: expected a MaskPath such as {image_id}_m01yrx_0123abcd.png, got {mask_path!r}"
            )


def read_table(table: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table that ``filter_table`` wrote."""
    check_table(table, ["ImageID", "LabelName"])
    with _rows(table) as rows:
        header = next(rows)
        yield from (dict(zip(header, row, strict=True)) for row in rows)


def rank_images(table: Path, key: str) -> list[str]:
    """Return the ids of all images with an instance, in the order in which to choose them.

    The classes take turns, so that rare ones are as well represented as common ones. Each class's images are in the
    order of sha256(key, first digit of the id), then sha256(key, id). As ids are random numbers this is unbiased, and
    the first images are in few of the 16 mask archives, each of which has a large directory. A box around a group
    (IsGroupOf) alone does not count.

    Args:
        table: from ``filter_table``.
        key: seed of the order.
    """
    images: defaultdict[str, set[str]] = defaultdict(set)
    for row in read_table(table):
        if row.get("IsGroupOf") != "1":
            images[row["LabelName"]].add(row["ImageID"])

    def order(image_id: str) -> tuple[bytes, bytes]:
        return _digest(f"{key}/{image_id[0]}"), _digest(f"{key}/{image_id}")

    turns: dict[str, int] = {}
    for image_ids in images.values():
        for turn, image_id in enumerate(sorted(image_ids, key=order)):
            turns[image_id] = min(turn, turns.get(image_id, turn))
    return sorted(turns, key=lambda image_id: (turns[image_id], order(image_id)))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@contextmanager
def _rows(path: Path) -> Iterator[Iterator[list[str]]]:
    """Open a csv file and give its rows; InstsegError if it is not valid text or csv."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield csv.reader(file)
    except (csv.Error, ValueError) as error:  # not UTF-8, or a row of another length than the header
        raise InstsegError(f"{path}: expected a table in CSV format: {error}") from error
