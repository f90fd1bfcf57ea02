"""Names of categories that a dataset of Hugging Face declares, in its README or in the schema of its parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from instseg.core.text import usable_text

MAX_README_BYTES = 2_000_000


def names_of_readme(folder: Path) -> list[str]:
    """Return the names of the first class label in the yaml that ``README.md`` begins with, if there is one."""
    path = folder / "README.md"
    try:
        if not path.is_file() or path.stat().st_size > MAX_README_BYTES:
            return []
        _, is_there, rest = path.read_text("utf-8", "replace").partition("---\n")
        content = yaml.safe_load(rest.partition("\n---")[0]) if is_there else None
    except (OSError, yaml.YAMLError, RecursionError, ValueError):
        return []
    return next(_class_labels(content), [])


def names_of_schema(metadata: bytes) -> list[str]:
    """Return the names of the first ``ClassLabel`` in the description that parquet files have in their schema."""
    try:
        return next(_class_labels(json.loads(metadata)), [])
    except (ValueError, RecursionError):
        return []


def _class_labels(content: object, depth: int = 0) -> Iterator[list[str]]:
    if depth > 30:
        return
    if isinstance(content, Mapping):
        names = content.get("names")
        listed = list(names.values()) if isinstance(names, Mapping) else names if isinstance(names, list) else []
        if listed and all(usable_text(str(name)).strip() for name in listed):
            yield [str(name) for name in listed]
    children = content.values() if isinstance(content, Mapping) else content if isinstance(content, list) else ()
    for child in children:
        yield from _class_labels(child, depth + 1)
