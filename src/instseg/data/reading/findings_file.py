"""The file ``findings.json``: everything that was left out or repaired, by split and kind."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import msgspec

from instseg.core.records import RecordError, read_plain
from instseg.core.text import printable
from instseg.data.reading.findings import KINDS, Findings

REMEDY = "remove its folder: the next start writes it anew"


class FindingRecord(msgspec.Struct, frozen=True):
    """One kind of finding in one split, as ``findings.json`` has it."""

    count: int
    meaning: str
    names: list[str]


def write_findings(path: Path, findings: Mapping[str, Findings]) -> None:
    """Write the findings of each split.

    Args:
        path: the file.
        findings: split -> what was found.
    """
    path.write_text(json.dumps({split: found.to_dict() for split, found in findings.items()}, indent=1))


def read_findings(path: Path, remedy: str = REMEDY) -> dict[str, Findings]:
    """Read the findings of each split.

    Args:
        path: the file.
        remedy: what the user can do where the file is of no use, as the end of the message.

    Raises:
        RecordError: the file is missing, damaged, or names a kind that this version does not know.
    """
    written = read_plain(path, dict[str, dict[str, FindingRecord]], remedy)
    for split, kinds in written.items():
        for kind in kinds.keys() - KINDS:
            raise RecordError(
                f"{path}: field {printable(split)}.{printable(kind)}: expected a known kind, found another; {remedy}"
            )
    return {
        split: Findings(defaultdict(list, {kind: entry.names for kind, entry in kinds.items()}))
        for split, kinds in written.items()
    }
