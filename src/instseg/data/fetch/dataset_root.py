"""Local copies of dataset roots that are remote (s3://, gs://, https://….zip, any fsspec URL) or a local .zip.

The copy is in ``<cache_dir>/remote/<name>-<hash of the root>/``. A remote folder is listed at every start, and new or
changed files are fetched; if it cannot be reached the copy is used, with a warning. Credentials and endpoints come from
the environment (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS``, …).
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from instseg.core.errors import InstsegError
from instseg.core.files import clean_file_name
from instseg.core.locks import exclusive_lock
from instseg.core.new_folders import new_folder
from instseg.core.records import Record, RecordError, read_record, write_record
from instseg.core.sealed_folders import made_once_and_whole
from instseg.core.text import plural, printable
from instseg.data.fetch.archives import check_unpacked_size, extract_zip_members
from instseg.data.fetch.download import download_files
from instseg.data.fetch.jobs import Download
from instseg.data.fetch.local_path import corrected_places, is_zip, local_path
from instseg.data.fetch.remote_files import fetch_files, list_folder

log = logging.getLogger(__name__)

LISTING = "listing.json"
JUNK = (".DS_Store", "Thumbs.db")


class Listing(Record, frozen=True, kw_only=True):
    """The content of ``listing.json``: the remote files that the copy holds."""

    files: dict[str, str]  # path in the folder -> state at the source, another one once the file has changed


def local_root(root: str, cache_dir: Path, max_unpacked_gb: float | None = None) -> Path:
    """Return the local folder or file of a root, fetched and unpacked where needed.

    Args:
        root: a path or URL.
        cache_dir: where copies are kept.
        max_unpacked_gb: limit of what a zip becomes, see ``check_unpacked_size``.

    Raises:
        InstsegError: the root cannot be reached and has no copy, is not a zip, becomes too large, or has names that
            lead out of it.
    """
    path = local_path(root)
    if path is not None:
        home = _home(str(path.absolute()), cache_dir)
        return _unpacked(path, home, max_unpacked_gb) if is_zip(path.name) else path
    scheme = root.partition("://")[0].lower()
    home = _home(root, cache_dir)
    with exclusive_lock(home / ".lock"):
        if is_zip(root.partition("?")[0]):
            archive = _fetch_archive(root, scheme, home)
            return _unpacked(archive, home, max_unpacked_gb)
        if scheme in ("http", "https"):
            raise InstsegError(
                f"dataset.root={root}: over http(s) only a .zip can be read, because folders cannot be listed"
            )
        return _synchronised(root, home)


def corrected_roots(corrected: object, cache_dir: Path, max_unpacked_gb: float | None = None) -> list[Path]:
    """Return the local folders or files of corrected labels.

    Args:
        corrected: what ``dataset.corrected`` has.
        cache_dir: as for ``local_root``.
        max_unpacked_gb: as for ``local_root``.

    Raises:
        InstsegError: it is no list of places, or as ``local_root``.
    """
    return [local_root(place, cache_dir, max_unpacked_gb) for place in corrected_places(corrected)]


def _home(root: str, cache_dir: Path) -> Path:
    name = re.sub(r"[^\w.-]", "_", PurePosixPath(root.rstrip("/")).stem)[:40]
    return cache_dir.absolute() / "remote" / f"{name}-{hashlib.sha256(root.encode()).hexdigest()[:12]}"


def _fetch_archive(url: str, scheme: str, home: Path) -> Path:
    """Download the zip, or return the copy of an earlier run."""
    archive = home / "archive.zip"
    if archive.is_file():
        log.info("%s: using the copy in %s; delete that folder to fetch it again", url, home)
        return archive
    if scheme in ("http", "https"):
        failures = download_files([Download(url, archive)], title="Downloading the dataset").failures
        if failures:
            raise InstsegError(f"dataset.root={url}: {failures[0].reason}")
        return archive
    fetched = fetch_files([url], home, "Downloading the dataset")[url]
    if isinstance(fetched, str):
        raise InstsegError(f"dataset.root={url}: {fetched}")
    return fetched


def _unpacked(archive: Path, home: Path, max_unpacked_gb: float | None) -> Path:
    """Unpack the archive, once for each state of the file; return its only top folder, or the folder of its content."""
    if not archive.is_file():
        raise InstsegError(f"dataset.root: no such file: {archive}")
    stat = archive.stat()
    folder = home / f"unpacked-{stat.st_size}-{stat.st_mtime_ns}"
    made_once_and_whole(folder, f"unpack {archive}", lambda: _unpack(archive, folder, max_unpacked_gb))
    tops = list(folder.iterdir())
    return tops[0] if len(tops) == 1 and tops[0].is_dir() else folder


def _unpack(archive: Path, folder: Path, max_unpacked_gb: float | None) -> None:
    try:
        with new_folder(folder) as scratch:
            extract_zip_members(archive, _members(archive, max_unpacked_gb), scratch)
    except OSError:
        if not folder.is_dir():  # else another machine was faster
            raise


def _members(archive: Path, max_unpacked_gb: float | None) -> list[str]:
    """List the files, without those that macOS and Windows add."""
    try:
        with zipfile.ZipFile(archive) as opened:
            sizes = {info.filename: info.file_size for info in opened.infolist() if not info.is_dir()}
    except Exception as error:  # a damaged archive raises nearly anything
        raise InstsegError(f"{archive}: not a zip archive, or a damaged one: {error}") from error
    own = [name for name in sizes if not name.startswith("__MACOSX/") and PurePosixPath(name).name not in JUNK]
    if not own:
        raise InstsegError(f"{archive}: the archive holds no files")
    check_unpacked_size(archive, sum(sizes[name] for name in own), max_unpacked_gb)
    return own


def _synchronised(root: str, home: Path) -> Path:
    """Update the copy of a remote folder with the changes since the last time."""
    folder, listing = home / "files", home / LISTING
    before = _read_or_tell(listing)
    try:
        now = _list(root)
    except InstsegError as error:
        if not before:
            raise
        log.warning("%s. Using the copy in %s as it is.", error, folder)
        return folder
    if not now:
        raise InstsegError(f"dataset.root={root}: no such folder, or it is empty")
    if before is None:  # only now that the source answers: nothing is known of the files
        shutil.rmtree(folder, ignore_errors=True)
    _forget(folder, before or {}, now)
    failed = _fetch(root, folder, [name for name in now if not (folder / name).is_file()])
    kept = {name: state for name, state in now.items() if name not in failed}
    write_record(listing, Listing(files=kept))
    if failed:
        name, reason = next(iter(failed.items()))
        raise InstsegError(
            f"dataset.root={root}: {len(failed)} of {plural(len(now), 'file')} could not be fetched, such as {name}: "
            f"{reason}. Start again to resume: fetched files are kept"
        )
    return folder


def _read_or_tell(listing: Path) -> dict[str, str] | None:
    """Read the listing; None where it is damaged, which is told."""
    try:
        return read_listing(listing)
    except RecordError as error:
        log.warning("%s", error)
        return None


def read_listing(path: Path) -> dict[str, str]:
    """Read which remote files the copy holds, and their states at the source; none where there is no listing yet.

    Raises:
        RecordError: the file is damaged, or names a file outside of the copy.
    """
    if not path.is_file():
        return {}
    remedy = "the dataset is fetched again"
    files = read_record(path, Listing, remedy).files
    for name in files:
        _check_inside(name, path, remedy)
    return files


def _check_inside(name: str, path: Path, remedy: str) -> None:
    try:
        inside = clean_file_name(name, path) == name
    except InstsegError:
        inside = False
    if not inside:
        raise RecordError(f"{path}: field files: expected paths in the folder, found {printable(name)}; {remedy}")


def _list(root: str) -> dict[str, str]:
    """List all but hidden files; InstsegError for a name that leads out of the folder."""
    listed = {clean_file_name(name, Path(root)): state for name, state in list_folder(root).items()}
    return {name: state for name, state in listed.items() if not PurePosixPath(name).name.startswith(".")}


def _forget(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Remove files that are gone or changed, there or here; unlisted ones are whole, from an interrupted run."""
    for name, state in before.items():
        if now.get(name) != state or not _has_size(folder / name, state):
            (folder / name).unlink(missing_ok=True)


def _has_size(path: Path, state: str) -> bool:
    """Tell whether a file has the size that its state at the source begins with, where the store gives one."""
    size = state.partition(" ")[0]
    return not size.isdecimal() or not path.is_file() or path.stat().st_size == int(size)


def _fetch(root: str, folder: Path, names: list[str]) -> dict[str, str]:
    """Fetch these files; return those that failed with the reason."""
    base = root.rstrip("/")
    fetched = fetch_files([f"{base}/{name}" for name in names], folder, f"Fetching {base}") if names else {}
    failed = {}
    for name in names:
        result = fetched[f"{base}/{name}"]
        if isinstance(result, str):
            failed[name] = result
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(result, folder / name)
    return failed
