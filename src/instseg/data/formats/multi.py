"""``dataset=multi``: labels that lie in several folders, maybe of several tools, read as one dataset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from instseg.core.errors import InstsegError
from instseg.core.text import printable, usable_text
from instseg.data.formats.auto import READERS_VERSION, reader_of
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import Labels, without_dangling
from instseg.data.reading.option_values import given_path, typed
from instseg.data.reading.readers import LabelReader
from instseg.data.splits.merge import merge_labels, named_source, same_categories
from instseg.data.splits.select import rename_categories

HINTS = {"rename": Mapping[str, str] | None, "drop": tuple[str, ...] | None}
OWN_KEYS = ("root", "format", *HINTS)


@dataclass(frozen=True, slots=True)
class MultiReader:
    """Reader of named sources, each ``{root, format: auto, rename: {}, drop: [], …options of its format}``.

    Their roots start from ``root``. Categories are joined by name, after each source's own ``rename`` and ``drop``.
    """

    FORMAT: ClassVar[str] = "multi"
    VERSION: ClassVar[int] = READERS_VERSION
    root: Path
    cache_dir: str
    sources: Mapping[str, Any] | None = None

    def label_files(self) -> Iterable[Path]:
        """Return the label files of all sources."""
        return [file for reader in self._readers().values() for file in reader.label_files()]

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Read all sources; those without splits come as ``UNSPLIT`` beside the splits of the others."""
        parts: defaultdict[str, list[Labels]] = defaultdict(list)
        for name, reader in self._readers().items():
            read = reader.read(findings)
            cocos = {split: without_dangling(labels.coco, findings[split]) for split, labels in read.items()}
            rename, drop = (typed(f"sources.{name}.{key}", self._given()[name].get(key), HINTS[key]) for key in HINTS)
            for split, coco in rename_categories(cocos, rename, drop).items():
                parts[split].append(Labels(named_source(coco, name), read[split].image_root))
        return same_categories({split: merge_labels(labels) for split, labels in parts.items()})

    def _readers(self) -> dict[str, LabelReader]:
        return {name: self._reader(name, source) for name, source in self._given().items()}

    def _reader(self, name: str, source: Mapping[str, Any]) -> LabelReader:
        root = given_path(f"sources.{name}.root", source["root"], self.root)
        options = {key: value for key, value in source.items() if key not in OWN_KEYS}
        return reader_of(source.get("format") or "auto", root, options, Path(self.cache_dir))

    def _given(self) -> dict[str, Mapping[str, Any]]:
        given = {name: source for name, source in (self.sources or {}).items() if source}
        if not given:
            raise InstsegError("dataset=multi needs sources: dataset.sources='{a: {root: DIR}, b: {root: DIR}}'")
        for name, source in given.items():
            if not isinstance(source, Mapping) or not usable_text(source.get("root")):
                raise InstsegError(f"dataset.sources.{name}: expected {{root: DIR, …}}, found {printable(source)}")
        return given
