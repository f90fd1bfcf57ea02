"""Content of a page, as its template shows it: texts, tables, charts, galleries; nothing is computed there."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from instseg.visualization.page.links import Link

MAX_COLUMNS = 4
"""Pictures of a case in one row."""


class Shape(msgspec.Struct):
    """A mask as the path of an SVG, in pixels of the shown image."""

    path: str
    text: str
    is_right: bool = True


class ShownImage(msgspec.Struct):
    """An image as it is shown."""

    name: str
    source: str
    """Data URL of a JPEG."""
    width: int
    height: int
    truths: list[Shape]
    found: list[list[Shape]]
    """The detections of each run above its thresholds."""


class ShownCase(msgspec.Struct):
    """A case as it is shown."""

    image: int
    text: str
    box: list[float]
    """x, y, width, height of the instances in question, px of the shown image."""
    truths: list[int]
    """Rows of ``ShownImage.truths``."""
    detections: list[list[int]]
    """Rows of the list of each run in ``ShownImage.found``."""


class Shown(msgspec.Struct):
    """All that the script of the page shows."""

    runs: list[str] = []
    """Names of the runs that are shown side by side; empty for one run alone."""
    images: list[ShownImage] = []
    cases: list[ShownCase] = []
    galleries: dict[str, list[int]] = {}
    """Gallery -> numbers of cases."""
    cells: dict[str, list[int]] = {}
    """Cell of the confusion matrix -> numbers of cases."""

    @property
    def columns(self) -> int:
        """Pictures of a case beside each other."""
        return min(max(1, len(self.runs)), MAX_COLUMNS)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the headline."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """Something to do next."""

    title: str
    reason: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToDo:
    """Advice, the most useful first; there may be none."""

    advice: list[Advice]


@dataclass(frozen=True, slots=True)
class TableCell:
    """A cell of a table: its text, a small note, and the value that it is sorted by."""

    text: str
    value: float | str
    note: str = ""
    href: str = ""
    mark: str = ""
    """``better`` or ``worse``, for a difference that is beyond chance."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is sorted by a click on a head."""

    heads: list[str]
    rows: list[list[TableCell]]


@dataclass(frozen=True, slots=True)
class Chart:
    """An SVG under its title."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """Colour of a curve."""

    name: str
    colour: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Charts:
    """Charts side by side, and the keys of their colours."""

    charts: list[Chart]
    keys: list[Key] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """A cell of the confusion matrix; one with a key opens its cases."""

    count: int
    title: str
    colour: str = ""
    key: str = ""

    @property
    def text(self) -> str:
        """The count; nothing for none."""
        return f"{self.count:,}" if self.count else ""


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """Instances of one category, by what they were found as."""

    name: str
    cells: list[MatrixCell]
    sum: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """The confusion matrix."""

    columns: list[str]
    rows: list[MatrixRow]
    sums: list[str]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Cases of one kind; their numbers are in ``Shown.galleries``."""

    key: str
    title: str
    explanation: str


@dataclass(frozen=True, slots=True)
class Galleries:
    """Galleries below one toolbar."""

    galleries: list[Gallery]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page."""

    key: str
    title: str
    explanation: str
    content: ToDo | Table | Charts | Matrix | Galleries

    @property
    def kind(self) -> str:
        """Name of the part of the template that shows it."""
        return type(self.content).__name__.lower()


@dataclass(frozen=True, slots=True)
class Page:
    """All of a page."""

    title: str
    subtitle: str
    figures: list[Figure]
    verdict: str
    sections: list[Section]
    shown: Shown
    notes: list[str] = field(default_factory=list)
    kind: str = "report"
    links: list[Link] = field(default_factory=list)
