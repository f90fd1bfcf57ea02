"""Images of a prediction run: files, and URLs and pages of TIFFs, of which files are made in the output folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from instseg.core.errors import InstsegError
from instseg.core.text import plural
from instseg.data.fetch.download import download_files
from instseg.data.fetch.jobs import Download
from instseg.data.reading.image_files import Source, find_images
from instseg.data.reading.tiff_pages import SUFFIXES, num_pages, write_page

DOWNLOADS, PAGES = "downloads", "pages"
"""Folders in the output."""
MAX_DOWNLOAD_BYTES = 200_000_000
ALL = "all"
Page = int | str
"""From 0, or all."""


@dataclass(slots=True)
class Images:
    """Paths of the images, in order; some are made first."""

    paths: list[Path]
    urls: dict[Path, str] = field(default_factory=dict)
    pages: dict[Path, tuple[Path, int]] = field(default_factory=dict)
    """Path of a page -> its TIFF and number."""
    failed: dict[Path, str] = field(default_factory=dict)

    @property
    def are_made(self) -> bool:
        """Tell whether any of them is made in the output folder."""
        return bool(self.urls or self.pages)

    def download(self) -> None:
        """Download those from the network; what is refused is told when it is asked for."""
        jobs = [Download(url, path, max_bytes=MAX_DOWNLOAD_BYTES) for path, url in self.urls.items()]
        failures = download_files(jobs, title="Downloading images").failures if jobs else []
        self.failed |= {failure.path: f"{failure.url}: {failure.reason}" for failure in failures}

    def make(self, path: Path) -> None:
        """Write the page of a TIFF; other files are there.

        Raises:
            InstsegError: the page cannot be read, or the file could not be downloaded.
        """
        if path in self.failed:
            raise InstsegError(self.failed[path])
        if path in self.pages:
            write_page(*self.pages[path], path)


def made_in(source: Source, page: Page) -> list[str]:
    """Return the folders in the output in which images of a source are made.

    Args:
        source: files, folders, globs and URLs.
        page: of TIFFs.
    """
    return [DOWNLOADS] * any(map(is_url, _entries(source))) + [PAGES] * (page != 0)


def note_on_pages(paths: Sequence[Path]) -> list[str]:
    """Return one sentence where TIFFs have several pages, of which the first was predicted."""
    counts = {path: count for path in paths if (count := num_pages(path)) > 1}
    if not counts:
        return []
    path, count = next(iter(counts.items()))
    others = "" if len(counts) == 1 else f", {plural(len(counts) - 1, 'other file')} several, too"
    return [f"{path.name} has {count} pages{others}: page 0 was predicted; page=all predicts each, page=1 the second"]


def source_folder(source: Source, paths: Sequence[Path]) -> Path:
    """Return the folder that the files of a source are named relative to.

    Args:
        source: as it was given.
        paths: its files.
    """
    entries = _entries(source)
    if len(entries) == 1 and (folder := Path(entries[0]).expanduser()).is_dir():
        return Path(os.path.normpath(folder.absolute()))
    return common_folder(paths)


def common_folder(paths: Sequence[Path]) -> Path:
    """Return the folder that files have in common."""
    return Path(os.path.commonpath([path.absolute().parent for path in paths]))


def _entries(source: Source) -> Sequence[str | Path]:
    return [source] if isinstance(source, str | Path) else list(source)


def is_url(entry: str | Path) -> bool:
    """Tell whether an entry of a source is downloaded."""
    return re.match(r"https?://", str(entry), re.IGNORECASE) is not None


def find_sources(source: Source, output: Path, page: Page, is_own: Callable[[Path], bool], limit: int | None) -> Images:
    """Return the images of a source; nothing is downloaded or decoded.

    Args:
        source: files, folders, globs and URLs.
        output: the folder in which images are made.
        page: of TIFFs.
        is_own: tells whether a file was written by a run, should ``output`` lie inside the source.
        limit: the first so many only.

    Raises:
        InstsegError: an entry does not exist or holds no image.
    """
    images = Images([])
    if limit is not None and limit < 1:
        raise InstsegError(f"limit: expected at least 1 (or null for all), found {limit}")
    for entry in _entries(source):
        if is_url(entry):
            path = _free(output / DOWNLOADS / _name_of(str(entry)), images.urls)
            images.urls[path] = str(entry)
            images.paths.append(path)
        else:
            images.paths += [path for path in find_images(entry) if not is_own(path)]
    if not images.paths:
        raise InstsegError(f"source {source}: holds only images that an earlier run wrote")
    images.paths = list(dict.fromkeys(images.paths))[:limit]
    images.urls = {path: url for path, url in images.urls.items() if path in images.paths}
    return images if page == 0 else _paged(images, output, page, limit)


def _paged(images: Images, output: Path, page: Page, limit: int | None) -> Images:
    """Replace TIFFs of several pages by their pages."""
    paged = Images([], images.urls)
    for path, url in images.urls.items():
        if page == ALL and path.suffix.lower() in SUFFIXES:
            raise InstsegError(
                f"page=all: expected files, as the pages of {url} are not known yet; give page=0, page=1…"
            )
    for path in images.paths:
        count = 1 if path in images.urls else num_pages(path)
        if page == ALL and count == 1:
            paged.paths.append(path)
            continue
        for number in range(count) if page == ALL else [int(page)]:
            target = _free(output / PAGES / f"{path.stem}_page_{number}.tif", paged.pages)
            paged.paths.append(target)
            paged.pages[target] = path, number
    paged.paths = paged.paths[:limit]
    return paged


def _name_of(url: str) -> str:
    """Return a name for the file of a URL that is one in any folder."""
    name = re.sub(r"[^\w.-]", "_", PurePosixPath(unquote(urlsplit(url).path)).name).lstrip(".")
    return name[-100:] or "image"


def _free(path: Path, taken: Container[Path]) -> Path:
    """Return the path, or one with a number where that is taken."""
    number, free = 2, path
    while free in taken:
        number, free = number + 1, path.with_stem(f"{path.stem}_{number}")
    return free
