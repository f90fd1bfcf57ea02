"""The vocabulary of the audit: findings, where they were seen, and the facts beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.files import write_json
from instseg.core.text import list_names

MAX_SPOTS = 1000
"""Of a finding, this many are named, the worst first; its counts are always of all."""


class Severity(StrEnum):
    """``fatal`` makes training pointless and stops it, ``warning`` wants a decision, ``info`` is good to know."""

    FATAL = "fatal"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Spot:
    """One place where a finding was seen: an image, a shape in it, a pair of images, or a category."""

    split: str
    name: str  # of the image file, from the image root; or of the category
    detail: str = ""  # what is the matter there, in a few words
    image: int | None = None  # index of the image in its split, where it is in the index
    instance: int | None = None  # row of the instance in the columns of the index
    annotation_id: int | None = None  # of a shape that the index does not hold, in <split>.json
    other: Spot | None = None  # the image that this one repeats


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture of a spot."""

    jpeg: bytes
    width: int
    caption: str


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One kind of thing that was found."""

    kind: str
    severity: Severity
    title: str  # what is counted: "images that are missing"
    counts: Mapping[str, int]  # by split
    spots: tuple[Spot, ...]  # worst first, MAX_SPOTS at most
    advice: str
    commands: tuple[str, ...] = ()  # overrides to copy, quoted for the shell
    thumbnails: tuple[Thumbnail, ...] = ()

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    @property
    def names(self) -> list[str]:
        """What is concerned, worst first, each once."""
        return list(dict.fromkeys(spot.name for spot in self.spots))

    def told(self) -> str:
        """In one line: what, how many, and the names of the worst."""
        return f"{self.title}: {self.count:,}" + (f" ({list_names(self.names, 3)})" if self.spots else "")


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """What one split holds; crowd regions are counted apart and nowhere else."""

    num_listed: int  # images that the labels list
    num_empty: int  # usable images without instances
    num_crowds: int
    per_category: NDArray[np.int64]  # (C,) instances of each label
    per_image: NDArray[np.int64]  # (I,) instances of each usable image
    image_sizes: NDArray[np.int64]  # (I, 2) height, width of each usable image, px
    instance_sides: NDArray[np.float64]  # (N,) square root of the box area in the network frame, px

    @property
    def num_images(self) -> int:
        return len(self.per_image)

    @property
    def num_instances(self) -> int:
        return int(self.per_category.sum())


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Facts and findings of a dataset, the gravest findings first."""

    fingerprint: str
    categories: tuple[str, ...]
    splits: Mapping[str, SplitFacts]
    findings: tuple[AuditFinding, ...]
    notes: tuple[str, ...]
    anchor_sizes: tuple[float, ...]  # px in the network frame
    thorough: bool  # whether photos were read too

    def of(self, severity: Severity) -> list[AuditFinding]:
        return [finding for finding in self.findings if finding.severity == severity]

    def stop_if_fatal(self, accepted: str | Collection[str] = ()) -> None:
        """Raise InstsegError with the fatal findings whose kind is not accepted, and how to go on anyway."""
        names = [accepted] if isinstance(accepted, str) else list(accepted)
        fatal = [finding for finding in self.of(Severity.FATAL) if finding.kind not in names]
        if not fatal:
            return
        listed = "\n".join(f"  {' '.join((f'{f.kind}: {f.told()}.', f.advice, *f.commands))}" for f in fatal)
        kinds = ",".join([*names, *(finding.kind for finding in fatal)])
        raise InstsegError(
            f"training on this dataset would be pointless:\n{listed}\n"
            f"stage=audit shows them with pictures; audit.accept=[{kinds}] trains all the same"
        )


def summary_of(values: NDArray[Any]) -> dict[str, float] | None:
    """min, median and max; None of nothing."""
    if not len(values):
        return None
    low, middle, high = (round(float(v), 1) for v in (values.min(), np.median(values), values.max()))
    return {"min": low, "median": middle, "max": high}


def spread(values: NDArray[Any]) -> str:
    """Smallest / median / largest, one number where they are equal, a dash of nothing."""
    summary = summary_of(values)
    return "–" if summary is None else " / ".join(dict.fromkeys(f"{value:,.0f}" for value in summary.values()))


def report_to_dict(report: AuditReport) -> dict[str, Any]:
    """Everything but the pictures, as plain containers for a json."""
    return {
        "dataset": report.fingerprint,
        "thorough": report.thorough,
        "notes": list(report.notes),
        "splits": {split: _facts_to_dict(facts, report.categories) for split, facts in report.splits.items()},
        "findings": [_finding_to_dict(finding) for finding in report.findings],
    }


def write_audit_json(report: AuditReport, path: Path) -> None:
    """Write ``audit.json``, for programs; the page is for people."""
    write_json(path, report_to_dict(report), indent=1)


def _facts_to_dict(facts: SplitFacts, categories: tuple[str, ...]) -> dict[str, Any]:
    return {
        "listed_images": facts.num_listed,
        "images": facts.num_images,
        "images_without_instances": facts.num_empty,
        "instances": facts.num_instances,
        "crowds": facts.num_crowds,
        "instances_per_category": dict(zip(categories, facts.per_category.tolist(), strict=True)),
        "instances_per_image": summary_of(facts.per_image),
        "image_height_px": summary_of(facts.image_sizes[:, 0]),
        "image_width_px": summary_of(facts.image_sizes[:, 1]),
        "instance_side_in_network_px": summary_of(facts.instance_sides),
    }


def _finding_to_dict(finding: AuditFinding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "severity": finding.severity.value,
        "count": finding.count,
        "title": finding.title,
        "counts": dict(finding.counts),
        "advice": finding.advice,
        "commands": list(finding.commands),
        "worst": [_spot_to_dict(spot) for spot in finding.spots],
    }


def _spot_to_dict(spot: Spot) -> dict[str, Any]:
    entry: dict[str, Any] = {"split": spot.split, "name": spot.name}
    if spot.detail:
        entry["detail"] = spot.detail
    if spot.annotation_id is not None:
        entry["annotation_id"] = spot.annotation_id
    if spot.other is not None:
        entry["other"] = {"split": spot.other.split, "name": spot.other.name}
    return entry
