"""COCO files by the gigabyte: an annotation stays the text it is in the file until its shape is needed.

Fifty coordinates are 350 bytes of text and two kilobytes of Python objects. What decides whether an annotation is
taken, its ids, lies beside the text under the usual keys, so that all that selects, divides, renames and joins works
as on any other; ``whole`` gives the rest. Those keys may be changed on the way and count over the text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from msgspec import DecodeError, Raw
from msgspec.json import decode

from instseg.core.files import check_memory
from instseg.core.types import CocoAnnotation, CocoDict

LIGHT_KEYS = ("id", "image_id", "category_id", "iscrowd")
TEXT = "json_text"
"""The key of an annotation's own text, a ``Raw``."""
BYTES_IN_MEMORY_PER_BYTE = 3
"""What indexing such a file takes, its text included; measured 2.2 on COCO 2017."""


def read_coco_text(path: Path) -> dict[str, object] | None:
    """Read a COCO file, its annotations as ``LIGHT_KEYS`` and ``TEXT``.

    Returns:
        The content; None for what ``json.loads`` alone reads (NaN, UTF-16, a byte order mark), for what is no COCO and
        where there is no file.

    Raises:
        InstsegError: the file would not fit into the memory.
    """
    check_memory(path, BYTES_IN_MEMORY_PER_BYTE)
    try:
        sections = decode(path.read_bytes(), type=dict[str, Raw])
        texts = decode(sections.pop("annotations"), type=list[Raw])
        others = {key: decode(text) for key, text in sections.items()}
        return others | {"annotations": [_light(text) for text in texts]}
    except (OSError, KeyError, DecodeError, ValueError, RecursionError):  # ValueError: no UTF-8
        return None


def _light(text: Raw) -> dict[str, object]:
    entry = decode(text, type=dict)
    light = {key: entry[key] for key in LIGHT_KEYS if key in entry}
    light[TEXT] = text
    return light


def whole(annotation: CocoAnnotation) -> CocoAnnotation:
    """Return an annotation with all its keys, those of the text parsed anew at every call."""
    entry: Mapping[str, object] = annotation
    text = entry.get(TEXT)
    if not isinstance(text, Raw):
        return annotation
    parsed: CocoAnnotation = decode(text) | {key: entry[key] for key in LIGHT_KEYS if key in entry}
    return parsed


def write_coco(path: Path, coco: CocoDict) -> None:
    """Write as ``json.dumps`` would, one annotation in memory at a time, unchanged ones word for word as they were.

    Args:
        path: the file.
        coco: its content.
    """
    others = {key: value for key, value in coco.items() if key != "annotations"}
    with path.open("wb") as file:
        file.write(json.dumps(others).encode().removesuffix(b"}") + (b", " if others else b"") + b'"annotations": [')
        for position, annotation in enumerate(coco["annotations"]):
            file.write((b", " if position else b"") + _text_of(annotation))
        file.write(b"]}")


def _text_of(annotation: CocoAnnotation) -> bytes:
    entry, text = whole(annotation), annotation.get(TEXT)
    if isinstance(text, Raw) and decode(text) == entry:
        return bytes(text)
    return json.dumps(entry).encode()
