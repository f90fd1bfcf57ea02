"""The typed things that the steps from a reader to indices take and give, see ``steps``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from instseg.core.categories import Categories
from instseg.data.reading.findings import Findings
from instseg.data.reading.frames import Headers
from instseg.data.reading.label_rules import LabelRules
from instseg.data.reading.labels import Labels
from instseg.data.reading.readers import LabelReader
from instseg.data.splits.selection import Selection


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that decides a prepared dataset."""

    reader: LabelReader
    label_files: list[Path]
    selection: Selection
    exif: str  # the frame in which the labels were drawn, see ``decide_frames``
    rules: LabelRules
    corrected: tuple[LabelReader, ...] = ()  # of corrected predictions, which join train
    labelled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name of a source -> the only categories that it has labelled completely."""


@dataclass(frozen=True, slots=True)
class ReadLabels:
    """The labels as their files have them, by the splits that these name."""

    request: Request
    labels: dict[str, Labels]
    findings: Mapping[str, Findings]  # split -> what was found; a defaultdict that the later steps add to
    corrected: Labels | None = None


@dataclass(frozen=True, slots=True)
class SelectedLabels:
    """The labels under the names that the user wants, without those that hang in the air."""

    request: Request
    labels: dict[str, Labels]
    findings: Mapping[str, Findings]
    corrected: Labels | None = None


@dataclass(frozen=True, slots=True)
class SplitLabels:
    """The labels of train, val and maybe test, all with the same categories, limited to what the user wants."""

    request: Request
    parts: dict[str, Labels]
    categories: Categories
    split_lists: dict[str, list[str]]  # split, and maybe unused -> file names
    notes: list[str]
    findings: Mapping[str, Findings]
    headers: Headers  # those that have been read
    unlabelled: Mapping[str, tuple[int, ...]]  # name of a source -> labels of the categories it has not labelled


@dataclass(frozen=True, slots=True)
class IndexedLabels:
    """The result: the indices lie in the folder of the request, the rest is here."""

    splits: tuple[str, ...]
    split_lists: dict[str, list[str]]
    notes: list[str]
    findings: Mapping[str, Findings]
