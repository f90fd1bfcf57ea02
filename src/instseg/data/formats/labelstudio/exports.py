"""The exports of Label Studio in a folder, told from other json by their beginning and end."""

from __future__ import annotations

import heapq
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.prediction_mark import IMAGES
from instseg.core.text import list_names, usable_text
from instseg.data.formats.coco.layout import find_annotation_files

NUM_PROBED = 50  # json files of a folder
NUM_HEAD_BYTES, NUM_TAIL_BYTES = 1 << 16, 1 << 11
CONTRIBUTOR = re.compile(rb'"contributor":\s*"Label Studio')
FILE_NAME = re.compile(rb'"file_name":\s*"(?:[^"]*[/\\])?([^"/\\]*)"')
UPLOADED = re.compile(rb"(?=\d*[a-f])[0-9a-f]{8}(-|__)")  # not 20240131-120000.jpg
FOLDER = re.compile(rb'"%s":\s*("(?:[^"\\]|\\.)*")' % IMAGES.encode())
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
OWN_KEYS = (b'"annotations"', b'"completions"', b'"predictions"')
TASK_KEYS = (b'"data"', b'"result"', b'"completed_by"')
MIN_KEYS = (b'"annotation_id"', b'"lead_time"')


def find_exports(root: Path) -> list[Path]:
    """Return the exports at a root, which may be one itself, or one folder below; empty where there are none."""
    if root.is_file():
        return [root] if _is_export(root) else []
    for pattern in ("*.json", "*/*.json"):
        files = heapq.nsmallest(NUM_PROBED, root.glob(pattern), key=_likeliest)
        exports = [file for file in files if _is_export(file)]
        if exports:
            return sorted(exports)
    return []


def _likeliest(file: Path) -> tuple[bool, str]:
    """Return a sort key that puts the usual names of exports first."""
    return not file.name.startswith(("result", "project-")), str(file)


def _is_export(file: Path) -> bool:
    """Tell an export by the beginning and the end of the file, which may be gigabytes apart."""
    try:
        with file.open("rb") as opened:
            head = _text_of(opened.read(NUM_HEAD_BYTES))
            opened.seek(max(opened.tell(), file.stat().st_size - NUM_TAIL_BYTES))
            tail = head[-NUM_TAIL_BYTES:] + opened.read()
    except OSError:
        return False
    if head.startswith(b"["):
        has_tasks = any(key in head for key in OWN_KEYS) and any(key in head for key in TASK_KEYS)
        return has_tasks or all(key in tail for key in MIN_KEYS)
    names = FILE_NAME.findall(head)
    is_uploaded = bool(names) and sum(1 for name in names if UPLOADED.match(name)) * 2 > len(names)
    return head.startswith(b"{") and (is_uploaded or CONTRIBUTOR.search(head + tail) is not None)


def _text_of(head: bytes) -> bytes:
    return head.removeprefix(BYTE_ORDER_MARK).lstrip()


def folder_of_predictions(exports: Iterable[Path]) -> str | None:
    """Return the folder of the images that ``predict.py`` gave its tasks; None where there is none here."""
    for file in exports:
        try:
            found = FOLDER.search(file.read_bytes())
            folder = usable_text(json.loads(found[1])) if found else ""
        except (OSError, ValueError):  # reading it says what is the matter
            continue
        if folder and os.path.isdir(folder):  # noqa: PTH112  (raises for no name)
            return folder
    return None


def holds_tasks(file: Path) -> bool:
    """Tell whether the export is a list of tasks, without parsing all of it.

    Raises:
        InstsegError: the file cannot be read.
    """
    try:
        with file.open("rb") as opened:
            return _text_of(opened.read(NUM_HEAD_BYTES)).startswith(b"[")
    except OSError as error:
        raise InstsegError(f"{file}: cannot be read: {error}") from error


def any_coco(root: Path) -> list[Path]:
    """Find COCO json: an edited export may have nothing left that distinguishes it from others.

    Raises:
        InstsegError: there is none.
    """
    try:
        return find_annotation_files(root)
    except InstsegError as error:
        raise InstsegError(
            f"{root}: no export of Label Studio found: expected result.json (COCO) or project-….json (JSON, JSON-MIN); "
            f"found {list_names(sorted(path.name for path in root.iterdir()))}"
        ) from error
