"""What was left out or repaired while labels were read: counted and named, never silent."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

LEFT_OUT = {
    "image_missing": "image files do not exist; left out",
    "image_unreadable": "image files cannot be read; left out",
    "image_size_differs": "images differ in size from their labels; left out",
    "image_unknown": "annotations belong to no listed image; left out",
    "category_unknown": "annotations have a category_id that is not listed; left out",
    "shape_invalid": "instances have no usable shape; left out",
    "shape_degenerate": "instances have no area inside the image; left out",
}
REPAIRED = {
    "box_only": "instances have a box but no mask; the box is used as the mask",
    "part_degenerate": "instances had a polygon part of fewer than three points; their other parts are used",
    "ignores_exif": "photos are labelled in the frame before EXIF rotation; read that way",
}
KINDS = LEFT_OUT | REPAIRED


@dataclass(slots=True)
class Findings:
    """Kind -> names of the images or annotations concerned."""

    names: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, name: str) -> None:
        self.names[kind].append(name)

    def log_warnings(self, where: str) -> None:
        for kind, names in sorted(self.names.items()):
            shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            log.warning("%s: %d %s: %s", where, len(names), KINDS[kind], shown)

    def to_dict(self) -> dict[str, Any]:
        return {kind: {"count": len(n), "meaning": KINDS[kind], "names": n} for kind, n in sorted(self.names.items())}


def write_findings(path: Path, findings: Mapping[str, Findings]) -> None:
    path.write_text(json.dumps({split: found.to_dict() for split, found in findings.items()}, indent=1))


def read_findings(path: Path) -> dict[str, Findings]:
    written = json.loads(path.read_text())
    return {
        split: Findings(defaultdict(list, {kind: entry["names"] for kind, entry in found.items()}))
        for split, found in written.items()
    }
