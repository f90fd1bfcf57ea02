"""What the tests of readers share: results by name, and damaged files made from good ones."""

from __future__ import annotations

import copy
import json
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from instseg.core.errors import InstsegError
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import Labels
from instseg.data.reading.readers import LabelReader

JUNK = (
    *(None, True, 0, -1, 7, 2**70, 1.5, 1e308, float("nan"), float("inf")),
    *("", " ", "x", "1.5", "nan", "../../x.png", "/etc/passwd", "a\0b", "\ud800", "C:\\x.jpg", "é" * 300),
    *(10**400, -(2**62), {"size": [2**31, 2**31], "counts": [0, 2**62]}, {"size": [12, 16], "counts": [2**62, 1]}),
    *("\ud800.png", "x" * 10_000, "\x1b[31m\u202e.png", [[5, 5, 6, 5, 6, 6, 5, 6]], [[3, 0, 3, 1, 4, 1]], [0, 0, 1, 1]),
    *([], {}, [[]], [None], [1, 2], {"a": 1}, [[1, 2], [3]], {"": {}}),
)

JUNK_BYTES = (b"\0", b"nan", b"1e999", b"-", b'"', b"\n", b"{", b"]", b"\xff\xfe", b"9" * 400)


def read_labels(reader: LabelReader) -> tuple[dict[str, Labels], dict[str, list[str]]]:
    """The labels by split, and the names of all findings by kind."""
    findings: defaultdict[str, Findings] = defaultdict(Findings)
    labels = reader.read(findings)
    names: defaultdict[str, list[str]] = defaultdict(list)
    for found in findings.values():
        for kind, some in found.names.items():
            names[kind] += some
    return labels, dict(names)


def instances(labels: Labels) -> dict[str, list[tuple[str, Any]]]:
    """File name -> category and segmentation (its box where that is empty) of each instance."""
    coco = labels.coco
    names = {category["id"]: category["name"] for category in coco["categories"]}
    files = {image["id"]: image["file_name"] for image in coco["images"]}
    found: dict[str, list[tuple[str, Any]]] = {name: [] for name in files.values()}
    for one in coco["annotations"]:
        found[files[one["image_id"]]].append((names[one["category_id"]], one["segmentation"] or one["bbox"]))
    return found


def mutated_json(content: Any, rng: random.Random) -> Any:
    """A copy in which one to three places, of any depth, are replaced by junk, removed, doubled or swapped."""
    changed = copy.deepcopy(content)
    for _ in range(rng.randint(1, 3)):
        parent, key = rng.choice(list(_places(changed)) or [(None, None)])
        if parent is None:
            return rng.choice(JUNK)
        what = rng.randrange(4)
        if what == 0 and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        elif what == 1:
            del parent[key]
        elif what == 2:
            other_parent, other_key = rng.choice(list(_places(changed)))
            parent[key] = copy.deepcopy(other_parent[other_key])
        else:
            parent[key] = copy.deepcopy(rng.choice(JUNK))
    return changed


def _places(content: Any) -> Any:
    keys = content.keys() if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    for key in keys:
        yield content, key
        yield from _places(content[key])


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Cut short, with bytes changed, removed or put in, or a piece of it twice."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed) + 1)
        end = min(len(changed), place + rng.randint(0, 12))
        what = rng.randrange(4)
        if what == 0:
            del changed[place : rng.choice([end, len(changed)])]
        elif what == 1:
            changed[place:end] = rng.randbytes(rng.randint(0, 6))
        elif what == 2:
            changed[place:place] = changed[place:end]
        else:
            changed[place:end] = rng.choice(
                [b"\0", b"nan", b"1e999", b"-", b'"', b"\n", b"{", b"]", b"\xff\xfe", b"9" * 400]
            )
    return bytes(changed)


def check_reading(make_reader: Callable[[], LabelReader]) -> bool:
    """Read; whether there was a result. InstsegError alone may come out, and no result that later stages stumble on."""
    findings: defaultdict[str, Findings] = defaultdict(Findings)
    try:
        reader = make_reader()
        list(reader.label_files())
        labels = reader.read(findings)
    except InstsegError as error:
        assert str(error)
        return False
    assert labels
    for split in labels.values():
        json.dumps(split.coco, allow_nan=False).encode()
        for image in split.coco["images"]:
            name = PurePosixPath(image["file_name"])
            assert image["file_name"].encode() and not name.is_absolute() and ".." not in name.parts
        assert all(category["name"].strip().encode() for category in split.coco["categories"])
    json.dumps([found.to_dict() for found in findings.values()]).encode()
    return True
