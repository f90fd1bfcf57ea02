"""Check of images that their EXIF orientation turns, and of the frame in which their labels were taken to be."""

from __future__ import annotations

from collections.abc import Mapping

from instseg.auditing.audit_options import AuditOptions
from instseg.auditing.report import MAX_SPOTS, AuditFinding, Severity, Spot
from instseg.auditing.tables import Tables
from instseg.data.reading.findings import Findings

Names = Mapping[str, list[str]]


def exif_findings(read: Mapping[str, Findings], tables: Tables, options: AuditOptions) -> list[AuditFinding]:
    """Report how many images are turned, the frame that was decided on, and the evidence.

    A warning where no image's size decides it and the user has not: the frame is then a guess, which only a look at the
    pictures can confirm.

    Args:
        read: split -> what was found while its labels were read.
        tables: of all splits.
        options: says whether the user chose the frame.
    """
    upright, stored, unsure = (_names(read, kind) for kind in ("exif_applied", "ignores_exif", "exif_undecided"))
    counts = {split: len(upright.get(split, [])) + len(stored.get(split, [])) for split in {**upright, **stored}}
    if not counts:
        return []
    is_guess = _number(unsure) == sum(counts.values()) and not options.exif_is_given
    frame = "stored" if _number(stored) > _number(upright) else "upright"
    return [
        AuditFinding(
            "exif",
            Severity.WARNING if is_guess else Severity.INFO,
            f"images that their EXIF orientation turns, {_taken_as(upright, stored)}",
            counts,
            _spots([unsure, stored, upright], tables),
            _evidence(sum(counts.values()), _number(unsure)),
            (f"dataset.exif={'upright' if frame == 'stored' else 'stored'}",) if unsure else (),
        )
    ]


def _taken_as(upright: Names, stored: Names) -> str:
    ways = {"as shown": _number(upright), "as stored": _number(stored)}
    return "taken to be labelled " + " and ".join(f"{way} ({count:,})" for way, count in ways.items() if count)


def _evidence(num_turned: int, num_unsure: int) -> str:
    if not num_unsure:
        return "The size in the labels tells it for each."
    others = "" if num_unsure == num_turned else f" They follow the other {num_turned - num_unsure:,}."
    return (
        f"For {num_unsure:,} the size cannot tell: square images, half turns, or no size in the labels.{others} "
        "If polygons lie beside their objects in the pictures, use the other frame."
    )


def _spots(groups: list[Names], tables: Tables) -> tuple[Spot, ...]:
    """List every image once, those without evidence first."""
    names = dict.fromkeys((split, name) for group in groups for split, listed in group.items() for name in listed)
    first = list(names)[:MAX_SPOTS]
    image_of = {split: _positions(tables, split) for split in {split for split, _ in first}}
    return tuple(Spot(split, name, image=image_of[split].get(name)) for split, name in first)


def _names(read: Mapping[str, Findings], kind: str) -> dict[str, list[str]]:
    return {split: found.names[kind] for split, found in read.items() if kind in found.names}


def _number(names: Names) -> int:
    return sum(map(len, names.values()))


def _positions(tables: Tables, split: str) -> dict[str, int]:
    """Map file names to positions in the index."""
    if split not in tables:
        return {}
    index = tables[split].index
    return {index.file_name(i): i for i in range(len(index))}
