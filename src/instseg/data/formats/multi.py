"""``dataset=multi``: labels that lie in several folders, maybe of several tools, read as one dataset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

from instseg.core.errors import InstsegError
from instseg.core.text import printable, usable_text
from instseg.data.formats.auto import READERS_VERSION, reader_of
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import Labels, without_dangling
from instseg.data.reading.option_values import given_path, typed
from instseg.data.reading.readers import LabelReader, image_roots
from instseg.data.reading.repeated import one_source_each
from instseg.data.splits.merge import merge_labels, named_source, same_categories
from instseg.data.splits.select import rename_categories

HINTS = {"rename": Mapping[str, str] | None, "drop": tuple[str, ...] | None, "labels": tuple[str, ...] | None}
OWN_KEYS = ("root", "format", *HINTS)


@dataclass(frozen=True, slots=True)
class Source:
    """One of the sources."""

    name: str
    root: str
    format: str
    rename: Mapping[str, str] | None
    drop: tuple[str, ...] | None
    labels: tuple[str, ...] | None  # the only categories that it has labelled completely; None: all
    options: Mapping[str, object]  # of its format


@dataclass(frozen=True, slots=True)
class MultiReader:
    """Reader of named sources, each ``{root, format: auto, rename: {}, drop: [], labels: [], …options of its format}``.

    Their roots start from ``root``. Categories are joined by name, after each source's own ``rename`` and ``drop``.
    What is not among the ``labels`` of a source is no background on its images; without them it labels everything.
    """

    FORMAT: ClassVar[str] = "multi"
    VERSION: ClassVar[int] = READERS_VERSION
    root: Path
    cache_dir: str
    sources: Mapping[str, object] | None = None
    max_unpacked_gb: float | None = None

    def label_files(self) -> Iterable[Path]:
        """Return the label files of all sources."""
        return [file for source in self._given().values() for file in self._reader(source).label_files()]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read all sources; those without splits come as ``UNSPLIT`` beside the splits of the others."""
        parts: defaultdict[str, list[Labels]] = defaultdict(list)
        for name, source in self._given().items():
            read = self._reader(source).read(findings)
            cocos = {split: without_dangling(labels.coco, findings[split]) for split, labels in read.items()}
            for split, coco in rename_categories(cocos, source.rename, source.drop).items():
                parts[split].append(Labels(named_source(coco, name), read[split].image_root))
        merged = one_source_each({split: merge_labels(labels) for split, labels in parts.items()}, findings)
        return same_categories(merged)

    def labelled_categories(self) -> Mapping[str, tuple[str, ...]]:
        """Return name of a source -> the only categories that it has labelled completely."""
        return {name: source.labels for name, source in self._given().items() if source.labels is not None}

    def image_roots(self) -> list[Path]:
        """Return the folders below which the images of each source are sought."""
        return [root for source in self._given().values() for root in image_roots(self._reader(source))]

    def _reader(self, source: Source) -> LabelReader:
        root = given_path(f"sources.{source.name}.root", source.root, self.root)
        return reader_of(source.format, root, source.options, Path(self.cache_dir), self.max_unpacked_gb)

    def _given(self) -> dict[str, Source]:
        given = {name: source for name, source in (self.sources or {}).items() if source}
        if not given:
            raise InstsegError("dataset=multi needs sources: dataset.sources='{a: {root: DIR}, b: {root: DIR}}'")
        return {name: _typed_source(name, source) for name, source in given.items()}


def _typed_source(name: str, given: object) -> Source:
    if not isinstance(given, Mapping) or not usable_text(given.get("root")):
        raise InstsegError(f"dataset.sources.{name}: expected {{root: DIR, …}}, found {printable(given)}")
    source_format = given.get("format") or "auto"
    if not usable_text(source_format):
        raise InstsegError(
            f"dataset.sources.{name}.format: expected the name of a format, found {printable(source_format)}"
        )
    own = {key: typed(f"sources.{name}.{key}", given.get(key), hint) for key, hint in HINTS.items()}
    return Source(
        name,
        given["root"],
        source_format,
        cast("Mapping[str, str] | None", own["rename"]),
        cast("tuple[str, ...] | None", own["drop"]),
        cast("tuple[str, ...] | None", own["labels"]),
        {key: value for key, value in given.items() if key not in OWN_KEYS},
    )
