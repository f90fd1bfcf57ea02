"""Vocabulary of the audit: findings, the places where they were seen, and facts about the splits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.files import write_json
from instseg.core.text import list_names, visible

MAX_SPOTS = 1000
"""Places that a finding names, the worst first; its counts are always of all."""

Number = TypeVar("Number", np.int64, np.float64)


class Severity(StrEnum):
    """Gravity: ``fatal`` stops a pointless training, ``warning`` asks for a decision, ``info`` is a remark."""

    FATAL = "fatal"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Spot:
    """Place where a finding was seen: an image, a shape in it, a pair of images, or a category."""

    split: str
    name: str  # of the image file, from the image root; or of the category
    detail: str = ""  # what is wrong there, in a few words
    image: int | None = None  # index of the image in its split, where it is in the index
    instance: int | None = None  # row of the instance in the columns of the index
    annotation_id: int | None = None  # of a shape that the index does not hold, in <split>.json
    other: Spot | None = None  # the image that this one repeats


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """Small picture of a spot."""

    jpeg: bytes
    width: int
    caption: str


FATAL_KINDS = (
    "images_lost", "leak_identical", "mask_of_classes", "mask_values_encoded", "no_instances_train", "no_instances_val",
)  # fmt: skip
"""Kinds of findings that can be fatal, which ``audit.accept`` may name."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """All occurrences of one kind of problem.

    Raises:
        ValueError: it is fatal and of none of FATAL_KINDS: nobody could accept it.
    """

    kind: str
    severity: Severity
    title: str  # what is counted: "images that are missing"
    counts: Mapping[str, int]  # by split
    spots: tuple[Spot, ...]  # worst first, MAX_SPOTS at most
    advice: str
    commands: tuple[str, ...] = ()  # overrides to copy, quoted for the shell
    thumbnails: tuple[Thumbnail, ...] = ()

    def __post_init__(self) -> None:
        if self.severity == Severity.FATAL and self.kind not in FATAL_KINDS:
            raise ValueError(f"{self.kind}: expected one of {', '.join(FATAL_KINDS)}")

    @property
    def count(self) -> int:
        """Number of occurrences in all splits."""
        return sum(self.counts.values())

    @property
    def names(self) -> list[str]:
        """Names of the images or categories concerned, worst first, each once."""
        return list(dict.fromkeys(spot.name for spot in self.spots))

    def told(self) -> str:
        """Summarise the finding in one line: its title, its count and the worst names."""
        return f"{self.title}: {self.count:,}" + (f" ({list_names(map(visible, self.names), 3)})" if self.spots else "")


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """Numbers of one split; crowd regions are counted apart and nowhere else."""

    num_listed: int  # images that the labels list
    num_empty: int  # usable images without instances
    num_crowds: int
    per_category: NDArray[np.int64]  # (C,) instances of each label
    per_image: NDArray[np.int64]  # (I,) instances of each usable image
    image_sizes: NDArray[np.int64]  # (I, 2) height, width of each usable image, px
    instance_sides: NDArray[np.float64]  # (N,) square root of the box area in the network frame, px

    @property
    def num_images(self) -> int:
        """Number of usable images."""
        return len(self.per_image)

    @property
    def num_instances(self) -> int:
        """Number of instances in usable images."""
        return int(self.per_category.sum())


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Facts and findings of a dataset, the gravest findings first."""

    name: str  # of the folder with the labels, or of the dataset
    fingerprint: str
    categories: tuple[str, ...]
    splits: Mapping[str, SplitFacts]
    findings: tuple[AuditFinding, ...]
    notes: tuple[str, ...]
    anchor_sizes: tuple[float, ...]  # px in the network frame
    thorough: bool  # whether images were read too
    gallery: tuple[Thumbnail, ...] = ()  # ordinary images with their labels

    def of(self, severity: Severity) -> list[AuditFinding]:
        """Return the findings of one severity."""
        return [finding for finding in self.findings if finding.severity == severity]

    def stop_if_fatal(self, accepted: str | Collection[str] = ()) -> None:
        """Stop where there are fatal findings.

        Args:
            accepted: kinds of findings that the user accepts.

        Raises:
            InstsegError: there is a fatal finding of another kind; the message says how to accept it.
        """
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


def summary_of(values: NDArray[Number]) -> dict[str, float] | None:
    """Compute min, median and max; None where there is no value."""
    if not len(values):
        return None
    low, middle, high = (round(float(v), 1) for v in (values.min(), np.median(values), values.max()))
    return {"min": low, "median": middle, "max": high}


def spread(values: NDArray[Number]) -> str:
    """Write smallest / median / largest, one number where they are equal, a dash where there is none."""
    summary = summary_of(values)
    return "–" if summary is None else " / ".join(dict.fromkeys(f"{value:,.0f}" for value in summary.values()))


def report_to_dict(report: AuditReport) -> dict[str, object]:
    """Convert a report to plain containers for a json, without the pictures."""
    return {
        "name": report.name,
        "dataset": report.fingerprint,
        "thorough": report.thorough,
        "notes": list(report.notes),
        "splits": {split: _facts_to_dict(facts, report.categories) for split, facts in report.splits.items()},
        "findings": [_finding_to_dict(finding) for finding in report.findings],
    }


def write_audit_json(report: AuditReport, path: Path) -> None:
    """Write ``audit.json``, for programs; the page is for people.

    Args:
        report: what to write.
        path: the file.
    """
    write_json(path, report_to_dict(report), indent=1)


def _facts_to_dict(facts: SplitFacts, categories: tuple[str, ...]) -> dict[str, object]:
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


def _finding_to_dict(finding: AuditFinding) -> dict[str, object]:
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


def _spot_to_dict(spot: Spot) -> dict[str, object]:
    entry: dict[str, object] = {"split": spot.split, "name": spot.name}
    if spot.detail:
        entry["detail"] = spot.detail
    if spot.annotation_id is not None:
        entry["annotation_id"] = spot.annotation_id
    if spot.other is not None:
        entry["other"] = {"split": spot.other.split, "name": spot.other.name}
    return entry
