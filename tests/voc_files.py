"""VOC folders made for tests: xml with a car and a dog, photos, masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from factories import write_picture
from mask_pictures import VOC_PALETTE, numbered, write_mask
from numpy.typing import NDArray

SIZE = (6, 8)
CAR, DOG = ("car", (1, 1, 4, 3)), ("dog", (5, 2, 8, 6))
VOC_SOURCE = "<source><database>The VOC2007 Database</database></source>"
MASKS = numbered("1111####", "1111#222", "1111#222", "#####222", "....#222", "....#222")
"""Of a car and a dog with a void border between."""


def an_object(name: str, box: tuple | None, more: str = "") -> str:
    corners = (
        ""
        if box is None
        else "".join(f"<{t}>{v}</{t}>" for t, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    )
    return f"<object><name>{name}</name>{more}<bndbox>{corners}</bndbox></object>"


def write_xml(path: Path, *objects: tuple, name: str | None = None, size: tuple | None = SIZE, more: str = "") -> Path:
    """``objects``: name, box and, if needed, more xml; ``more`` stands at the end."""
    height, width = size or (0, 0)
    head = f"<filename>{path.stem + '.png' if name is None else name}</filename>"
    head += f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation>{head}{''.join(an_object(*entry) for entry in objects)}{more}</annotation>")
    return path


def write_voc(root: Path, *names: str, masks: NDArray[Any] | None = None) -> Path:
    for name in names:
        write_picture(root / f"JPEGImages/{name}.png", SIZE)
        write_xml(root / f"Annotations/{name}.xml", CAR, DOG)
        if masks is not None:
            write_mask(root / f"SegmentationObject/{name}.png", masks, VOC_PALETTE)
    return root
