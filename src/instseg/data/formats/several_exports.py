"""The command that reads several exports in one folder together, each as a source with a name that Hydra can parse."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from instseg.core.shell_overrides import is_plain, override


def read_together(folders: Sequence[Path]) -> str:
    """Return the overrides that read exports as one dataset, to be pasted into a shell.

    Args:
        folders: of the exports, at least one, beside each other.
    """
    names = source_names([folder.name for folder in folders])
    sources = {name: {"root": folder.name} for name, folder in zip(names, folders, strict=True)}
    root = shlex.quote(f"dataset.root={folders[0].parent}")
    return f"dataset=multi {root} {override('dataset.sources', sources)}"


def source_names(folders: Sequence[str]) -> list[str]:
    """Return a different name for each folder, of letters, digits and underscores; near to that of the folder."""
    names: list[str] = []
    for number, folder in enumerate(folders, start=1):
        letters = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode()
        name = re.sub(r"\W+", "_", letters).strip("_")
        name = name if is_plain(name) else f"source_{name or number}"
        names.append(name if name not in names else _numbered(name, {*names, *folders}))
    return names


def _numbered(name: str, taken: set[str]) -> str:
    return next(new for number in range(2, len(taken) + 3) if (new := f"{name}_{number}") not in taken)
