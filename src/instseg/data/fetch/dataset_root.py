"""A dataset root that lies elsewhere (s3://, gs://, https://….zip, any fsspec URL, a local .zip) as a local folder.

The copy lies in ``<cache_dir>/remote/<name>-<hash of the root>/``. A folder is listed at every start and what is new
or changed is fetched; where it cannot be reached the copy is used, and the log says so. Credentials and endpoints are
those of the environment (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS``, …).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from instseg.core.atomic import exclusive_lock, new_folder, write_text_atomically
from instseg.core.errors import InstsegError
from instseg.core.text import clean_file_name
from instseg.data.fetch.archives import extract_zip_members
from instseg.data.fetch.download import download_files
from instseg.data.fetch.jobs import Download
from instseg.data.fetch.remote_files import fetch_files, list_folder

log = logging.getLogger(__name__)

LISTING = "listing.json"
JUNK = (".DS_Store", "Thumbs.db")


def local_root(root: str, cache_dir: Path) -> Path:
    """The folder or file that ``root`` means on this machine, fetched and unpacked where needed.

    Raises InstsegError for what cannot be reached and was never fetched, is no zip, or holds names that lead out.
    """
    scheme = root.partition("://")[0].lower() if "://" in root else "file"
    if scheme == "file":
        path = Path(os.path.expanduser(root.removeprefix("file://")))  # noqa: PTH111  (~nobody stays as it is)
        if not os.path.exists(path):  # noqa: PTH110  (raises for a name that is too long)
            raise InstsegError(f"dataset.root: no such {'file' if _is_zip(path.name) else 'folder'}: {path}")
        return _unpacked(path, _home(str(path.absolute()), cache_dir)) if _is_zip(path.name) else path
    home = _home(root, cache_dir)
    with exclusive_lock(home / ".lock"):
        if _is_zip(root.partition("?")[0]):
            archive = _fetch_archive(root, scheme, home)
            return _unpacked(archive, home)
        if scheme in ("http", "https"):
            raise InstsegError(f"dataset.root={root}: over http(s) a .zip can be read, a folder cannot be listed")
        return _synchronised(root, home)


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def _home(root: str, cache_dir: Path) -> Path:
    name = re.sub(r"[^\w.-]", "_", PurePosixPath(root.rstrip("/")).stem)[:40]
    return cache_dir.absolute() / "remote" / f"{name}-{hashlib.sha256(root.encode()).hexdigest()[:12]}"


def _fetch_archive(url: str, scheme: str, home: Path) -> Path:
    """The zip as a local file; the copy of an earlier run stands for it where there is one."""
    archive = home / "archive.zip"
    if archive.is_file():
        log.info("%s: the copy in %s is used; delete that folder to fetch it again", url, home)
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


def _unpacked(archive: Path, home: Path) -> Path:
    """The archive's only top folder, or the folder of all it holds; unpacked once for each state of the file."""
    if not archive.is_file():
        raise InstsegError(f"dataset.root: no such file: {archive}")
    stat = archive.stat()
    folder = home / f"unpacked-{stat.st_size}-{stat.st_mtime_ns}"
    if not folder.is_dir():
        try:
            with new_folder(folder) as scratch:
                extract_zip_members(archive, _members(archive), scratch)
        except FileExistsError:  # another process was faster
            pass
    tops = list(folder.iterdir())
    return tops[0] if len(tops) == 1 and tops[0].is_dir() else folder


def _members(archive: Path) -> list[str]:
    """The files, without what macOS and Windows add of their own."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [info.filename for info in opened.infolist() if not info.is_dir()]
    except Exception as error:  # what is wrong in an archive raises nearly anything
        raise InstsegError(f"{archive}: not a zip archive, or a damaged one: {error}") from error
    own = [name for name in names if not name.startswith("__MACOSX/") and PurePosixPath(name).name not in JUNK]
    if not own:
        raise InstsegError(f"{archive}: the archive holds no files")
    return own


def _synchronised(root: str, home: Path) -> Path:
    """The copy of a remote folder, with what changed there since the last time."""
    folder, listing = home / "files", home / LISTING
    before = json.loads(listing.read_text()) if listing.is_file() else {}
    try:
        now = _list(root)
    except InstsegError as error:
        if not before:
            raise
        log.warning("%s. The copy in %s is used as it is.", error, folder)
        return folder
    if not now:
        raise InstsegError(f"dataset.root={root}: no such folder, or it is empty")
    _forget(folder, before, now)
    failed = _fetch(root, folder, [name for name in now if not (folder / name).is_file()])
    kept = {name: state for name, state in now.items() if name not in failed}
    write_text_atomically(listing, json.dumps(kept))
    if failed:
        name, reason = next(iter(failed.items()))
        raise InstsegError(
            f"dataset.root={root}: {len(failed)} of {len(now)} files could not be fetched, such as {name}: {reason}. "
            "Start again: what is there stays"
        )
    return folder


def _list(root: str) -> dict[str, str]:
    """What is there but hidden files; InstsegError for a name that leads out of the folder."""
    listed = {clean_file_name(name, Path(root)): state for name, state in list_folder(root).items()}
    return {name: state for name, state in listed.items() if not PurePosixPath(name).name.startswith(".")}


def _forget(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Remove what is gone or has changed there; files of no listing are of a run that was cut off, and whole."""
    for name, state in before.items():
        if now.get(name) != state:
            (folder / name).unlink(missing_ok=True)


def _fetch(root: str, folder: Path, names: list[str]) -> dict[str, str]:
    """Fetch these files; those that failed with the reason."""
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
