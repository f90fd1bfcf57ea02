"""The common tools of readers: names below a root, splits by name, and the image that a label file names."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from instseg.core.errors import InstsegError
from instseg.core.files import CACHE_TAG
from instseg.core.text import list_names
from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.reading.spelling import alike

SPLIT_PATTERNS = {"train": r"train(ing)?", "val": r"val(id(ation)?)?", "test": r"test"}


def check_folder(root: Path) -> None:
    """Check that a root is a folder that is not empty.

    Raises:
        InstsegError: it is not.
    """
    if not root.exists():
        raise InstsegError(f"dataset.root: no such folder: {root}")
    if not root.is_dir():
        raise InstsegError(f"dataset.root: expected a folder, found a file: {root}")
    if not any(root.iterdir()):
        raise InstsegError(f"dataset.root: the folder is empty: {root}")


def split_of(file: Path, root: Path) -> str | None:
    """Return train, val or test, from the name of a file or of its folder below the root; None when neither names one.

    Args:
        file: below the root.
        root: of the labels; its own name is not considered.
    """
    return split_named(file.stem) or (split_named(file.parent.name) if root in file.parent.parents else None)


def split_named(name: str) -> str | None:
    """Return train, val or test when the name has it as a word: train2017, valid, my-test_set."""
    for split, pattern in SPLIT_PATTERNS.items():
        if re.search(rf"(^|[^a-z]){pattern}([^a-z]|$)", name.lower()):
            return split
    return None


def split_of_folders(file: Path, root: Path) -> str | None:
    """Return train, val or test, when a folder between the root and the file is called that; the innermost counts.

    Args:
        file: below the root.
        root: of the labels.
    """
    folders = file.relative_to(root).parts[:-1]
    return next((split for name in reversed(folders) if (split := split_named(name))), None)


def check_all_split(unsplit: Sequence[str], splits: Iterable[str], root: Path) -> None:
    """Check that either all images or none lie in folders named after splits.

    Args:
        unsplit: images that lie elsewhere.
        splits: the splits that folders are named after.
        root: of the labels, for the message.

    Raises:
        InstsegError: some do and others do not.
    """
    if unsplit and (named := sorted(splits)):
        raise InstsegError(
            f"{root}: some images lie in folders named {' and '.join(named)}, {len(unsplit)} do not: "
            f"{list_names(unsplit)}. "
            "Put each into such a folder, or rename those folders if they are no splits"
        )


def common_root(folders: Collection[Path], preferred: Path | None = None) -> Path:
    """Return the innermost folder that holds all of these, absolute.

    Args:
        folders: at least one.
        preferred: taken instead where it holds them all; absolute.

    Raises:
        InstsegError: there is no such folder, as on different drives.
    """
    try:
        innermost = Path(os.path.commonpath([folder.absolute() for folder in folders]))
    except ValueError as error:
        raise InstsegError(f"images must lie on one drive, found {list_names(folders)}") from error
    return preferred if preferred is not None and innermost.is_relative_to(preferred) else innermost


def prefix_from(root: Path, folder: Path) -> str:
    """Return what a file name below ``folder`` starts with, seen from ``root``: empty, or folders that end in a slash.

    Args:
        root: absolute.
        folder: ``root`` or a folder below it.
    """
    relative = folder.absolute().relative_to(root).as_posix()
    return "" if relative == "." else f"{relative}/"


def walk(root: Path) -> Iterator[Path]:
    """Yield every file below a root, sorted; hidden files and caches skipped, links followed, no folder twice."""
    entered: set[str] = set()
    for parent, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(parent)
        is_skipped = real in entered or (CACHE_TAG in names and bool(entered))  # a cache given as the root is read
        folders[:] = [] if is_skipped else sorted(f for f in folders if not f.startswith("."))
        if not is_skipped:
            yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))
        entered.add(real)


def image_names(root: Path) -> list[str]:
    """Return the image files below a root, as posix paths from it."""
    return [p.relative_to(root).as_posix() for p in walk(root) if p.suffix.lower() in IMAGE_EXTENSIONS]


def sample_files(root: Path, per_folder: int = 20, max_folders: int = 200) -> list[Path]:
    """Return some files of each extension from the topmost folders: enough to recognise a format by.

    A folder of 100,000 files is listed once, none is opened. Of a thousand folders beside each other a few are entered,
    so that those within them are seen too. Caches are skipped, links are followed, no folder is entered twice.

    Args:
        root: the topmost folder.
        per_folder: limit of files of each extension in a folder, and of folders.
        max_folders: limit of folders.
    """
    folders, found, entered = [root], [], set[str]()
    for folder in folders:  # grows on the way: the topmost come first
        real = os.path.realpath(folder)
        entries = [] if real in entered else sorted(_entries(folder), key=lambda entry: entry.name)
        if entered and any(entry.name == CACHE_TAG for entry in entries):
            continue
        entered.add(real)
        below = [Path(entry.path) for entry in entries if _is_folder(entry)][:per_folder]
        folders += below[: max_folders - len(folders)]
        counts: Counter[str] = Counter()
        for entry in entries:
            extension = entry.name.rpartition(".")[2].lower()
            counts[extension] += 1
            if counts[extension] <= per_folder and not _is_folder(entry):
                found.append(Path(entry.path))
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError:  # not a folder, or one that may not be read
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


class ImageFinder:
    """Finder of the image that a label file names, among all image files below a root, as paths from that root.

    Labels name images with folders of other machines, other separators, another case or another extension.
    """

    def __init__(self, root: Path, names: Iterable[str] | None = None) -> None:
        """List the images.

        Args:
            root: searched for image files.
            names: the only files to choose from, where not every image file below the root is a source image.
        """
        self.names = image_names(root) if names is None else list(names)
        self._exact = set(self.names)
        self._by_name: defaultdict[str, list[str]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[str]] = defaultdict(list)
        for name in self.names:
            path = PurePosixPath(name)
            self._by_name[alike(path.name)].append(name)
            self._by_stem[alike(path.stem)].append(name)

    def find(self, wanted: str, near: str = "") -> str | None:
        """Return the image file that a name in the labels means; None when there is none or several fit equally well.

        In this order: the very path, from the root or from the folder of the label file; the same name, then the same
        stem, with the longest agreement of folders at either end.

        Args:
            wanted: any path.
            near: folder of the label file, from the root.
        """
        cleaned = wanted.replace("\\", "/")
        for path in (cleaned, f"{near}/{cleaned}"):
            normal = os.path.normpath(path)
            if normal in self._exact:
                return normal
        last = PurePosixPath(cleaned)
        for candidates in (self._by_name.get(alike(last.name)), self._by_stem.get(alike(last.stem))):
            if candidates:
                return self._best(candidates, last.parent, PurePosixPath(near))
        return None

    def find_by_end(self, wanted: str) -> str | None:
        """Return the image file of the same name with the longest end of its path in common, if that is only one."""
        path = PurePosixPath(wanted)
        candidates = self._by_name.get(alike(path.name))
        return self._best(candidates, path.parent, PurePosixPath()) if candidates else None

    def same_name(self, name: str) -> list[str]:
        """Return all image files of this name, in any folder and case."""
        return self._by_name.get(alike(name), [])

    @staticmethod
    def _best(candidates: list[str], wanted: PurePosixPath, near: PurePosixPath) -> str | None:
        def agreement(name: str) -> tuple[int, int]:
            folders = PurePosixPath(name).parent.parts
            tail = sum(1 for _ in _common(reversed(folders), reversed(wanted.parts)))
            return tail, sum(1 for _ in _common(folders, near.parts))

        ranked = sorted(candidates, key=agreement, reverse=True)
        if len(ranked) > 1 and agreement(ranked[0]) == agreement(ranked[1]):
            return None
        return ranked[0]


def _common(left: Iterable[str], right: Iterable[str]) -> Iterator[str]:
    for a, b in zip(left, right, strict=False):
        if a != b:
            return
        yield a
