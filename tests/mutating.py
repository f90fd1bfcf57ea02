"""Damaged copies of one good record: whatever reads them may only succeed, or raise InstsegError.

How many are tried is the fixture ``tries``: hundreds by default, thousands in the slow set.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reading import mutated_bytes, mutated_json

from instseg.core.errors import InstsegError

VERSIONS = (0, -1, 2, 99, 2**70, "1", None, 1.0, [1])
DEPTH = 5000
"""Levels of lists: more than any reader follows."""


def read_mutations(good: dict[str, Any], read: Callable[[Any], object], number: int) -> tuple[int, int]:
    """Give ``read`` plain containers with other values anywhere; how many were tried, and how many of them refused."""
    rng, tried, refused = random.Random(0), 0, 0
    odd = [{**good, "version": version} for version in VERSIONS] + [[], None, "x", 7]
    for content in [*odd, *(mutated_json(good, rng) for _ in range(number))]:
        tried += 1
        refused += _is_refused(read, content)
    return tried, refused


def read_damaged_texts(good: str, read: Callable[[bytes], object], number: int) -> tuple[int, int]:
    """Give ``read`` the bytes of a file cut short, changed, nested deeply, or with other values anywhere; as above."""
    rng, content = random.Random(0), json.loads(good)
    deep = b"[" * DEPTH + b"]" * DEPTH
    ends = range(0, len(good), max(1, len(good) // number))
    texts = [b"", b"{", deep, b'{"version": ' + deep + b"}", *(good.encode()[:end] for end in ends)]
    texts += [json.dumps({**content, "version": version}).encode() for version in VERSIONS]
    texts += [mutated_bytes(good.encode(), rng) for _ in range(number // 2)]
    texts += [json.dumps(mutated_json(content, rng)).encode() for _ in range(number // 2)]
    return len(texts), sum(_is_refused(read, text) for text in texts)


def read_damaged_files(path: Path, read: Callable[[], object], number: int) -> tuple[int, int]:
    """Put damaged copies of a json file in its place, one after the other, and call ``read``; as above."""

    def read_copy(content: bytes) -> object:
        path.write_bytes(content)
        return read()

    return read_damaged_texts(path.read_text(), read_copy, number)


def _is_refused(read: Callable[[Any], object], content: object) -> bool:
    """Any other error than InstsegError comes out of here, and fails the test."""
    with contextlib.suppress(InstsegError):
        read(content)
        return False
    return True
