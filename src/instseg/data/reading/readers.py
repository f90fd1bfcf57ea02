"""The readers of label formats: what each of them offers, and how one is made from a configuration."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import ClassVar, Protocol, get_type_hints, runtime_checkable

from instseg.core.errors import InstsegError
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import Labels
from instseg.data.reading.option_values import typed

LABEL_FOLDERS = ("annotations", "labels")
"""Folders of labels whose images lie beside them: the dataset is the folder above."""


class LabelReader(Protocol):
    """One annotation format. A reader is a frozen dataclass of ``root`` (a folder or file) and its options.

    Everything that is wrong with the labels as a whole raises InstsegError with the path, what was expected and what
    was found; what is wrong with one image or shape is left out or repaired, and added to the findings.
    """

    FORMAT: ClassVar[str]
    """The name of the format. With ``VERSION`` and the options it tells results in the cache apart."""
    VERSION: ClassVar[int]
    """Raise it whenever the same files give other labels."""

    @property
    def root(self) -> Path:
        """The folder, or file, of the labels."""
        ...

    def label_files(self) -> Iterable[Path]:
        """Return all files that the result depends on, images aside: path, size and time tell whether it is stale."""
        ...

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Return split name (train, val, test; ``UNSPLIT`` where there are none) -> its labels.

        Every split lists the same categories.

        Args:
            findings: split -> where to add what is left out or repaired; it exists for every split (a defaultdict).
        """
        ...


@runtime_checkable
class ReadsSources(Protocol):
    """A reader of several sources, which may have labelled some categories alone."""

    def labelled_categories(self) -> Mapping[str, tuple[str, ...]]:
        """Return name of a source -> the categories that it has labelled completely; sources of all are not there."""
        ...

    def image_roots(self) -> list[Path]:
        """Return the folders below which the images of each source are sought."""
        ...


def labelled_categories(reader: LabelReader) -> Mapping[str, tuple[str, ...]]:
    """Return name of a source -> the only categories that it has labelled completely, for readers of several."""
    return reader.labelled_categories() if isinstance(reader, ReadsSources) else {}


def image_roots(reader: LabelReader) -> list[Path]:
    """Return the folders below which a reader seeks images that are not where its labels say."""
    if isinstance(reader, ReadsSources):
        return reader.image_roots()
    return [_dataset_of(reader.root.parent if reader.root.is_file() else reader.root)]


def make_reader(
    reader: Callable[..., LabelReader],
    root: Path,
    options: Mapping[str, object],
    cache_dir: Path,
    max_unpacked_gb: float | None = None,
) -> LabelReader:
    """Make the reader of a folder with its own options.

    Args:
        reader: called with the root and the options by their names.
        root: of the labels.
        options: as they come from a configuration.
        cache_dir: given as text to a reader that has such an option, because it keeps files.
        max_unpacked_gb: given to a reader that has such an option, because its label files hold packed images.

    Raises:
        InstsegError: the format has no such option, or the value is of another type.
    """
    known = list(inspect.signature(reader).parameters)
    of_all = {"cache_dir": str(cache_dir), "max_unpacked_gb": max_unpacked_gb}
    wrong = [option for option in options if option not in known or option in ("root", *of_all)]
    if wrong:
        raise InstsegError(f"dataset.{wrong[0]}: this format has no such option; it has {', '.join(known)}")
    hints = get_type_hints(getattr(reader, "func", reader))  # of a partial: what it calls
    given = {option: typed(option, value, hints[option]) for option, value in options.items()}
    return reader(root, **{option: value for option, value in of_all.items() if option in known}, **given)


def identity_of(reader: LabelReader) -> dict[str, object]:
    """Return format, version and options of a reader as plain values: equal for readers that read the same.

    Raises:
        InstsegError: the reader does not state them.
    """
    if not (is_dataclass(reader) and hasattr(reader, "FORMAT") and hasattr(reader, "VERSION")):
        raise InstsegError(
            f"dataset.reader: expected a dataclass with the constants FORMAT and VERSION, found {type(reader).__name__}"
        )
    options = {field.name: _plain(field.name, getattr(reader, field.name)) for field in fields(reader)}
    return {"format": reader.FORMAT, "version": reader.VERSION, "options": options}


def _plain(option: str, value: object) -> object:
    """Return the value of an option as json has it."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(option, entry) for entry in value]
    if isinstance(value, Mapping):  # as pairs: keys may be numbers
        return sorted(([_plain(option, key), _plain(option, entry)] for key, entry in value.items()), key=str)
    raise InstsegError(f"dataset.{option}: expected plain values, found {type(value).__name__}")


def places_of(reader: LabelReader) -> list[str]:
    """Return the folders of a dataset, as they are written and without links: its root and those of its options."""
    root = reader.root.parent if reader.root.is_file() else reader.root
    named = [root, *(root / text for text in _texts_of(reader)), reader.root]
    folders = [_dataset_of(place) for place in named if os.path.isdir(place)]  # noqa: PTH112  (raises for no name)
    return [spelled for folder in folders for spelled in (os.path.abspath(folder), os.path.realpath(folder))]  # noqa: PTH100


def _dataset_of(folder: Path) -> Path:
    return folder.parent if folder.name.casefold() in LABEL_FOLDERS else folder


def _texts_of(value: object) -> Iterable[str]:
    """Yield every text in the options of a reader, some of which name folders."""
    if isinstance(value, str):
        yield os.path.expanduser(value)  # noqa: PTH111  (of no user of that name: it stays as it is)
    elif is_dataclass(value):
        for field in fields(value):
            given = getattr(value, field.name)
            is_cache = field.name == "cache_dir" and given is not None  # below the working folder, not below the root
            yield from _texts_of(os.path.abspath(given) if is_cache else given)  # noqa: PTH100
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _texts_of(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _texts_of(entry)
