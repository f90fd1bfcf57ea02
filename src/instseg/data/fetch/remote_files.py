"""Remote files (s3://, gs://, https://, any URL that fsspec supports), each fetched once into a folder.

Credentials, endpoints and proxies come from the environment: ``AWS_ENDPOINT_URL``, ``https_proxy``, and those of
fsspec, such as ``FSSPEC_S3_ANON=true`` for a public bucket. This is for many small files; ``download`` resumes large
ones over HTTP.
"""

from __future__ import annotations

import errno
import hashlib
import re
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import aiohttp
import fsspec

from instseg.core.atomic import DISK_FULL, replacing
from instseg.core.disk_reasons import reason_of
from instseg.core.errors import InstsegError
from instseg.data.fetch.http_requests import TRANSIENT_STATUS
from instseg.data.fetch.progress import show_progress

NUM_THREADS = 16
NUM_TRIES = 4
TIMEOUT_SECONDS = 30.0
BACKOFF_SECONDS = 0.5
MAX_NAME_BYTES = 160  # of the 255 of file systems
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""Scheme of a URL -> the extra of this package that installs its file system."""
PLAIN_ADDRESS = re.compile(r"(https?|s3a?|gc?s|az|abfss?)://(?!.*::)", re.IGNORECASE | re.ASCII | re.DOTALL)
"""Of a file elsewhere. fsspec knows some thirty other schemes, and chains of them joined by ``::``, most of which can
open files of this machine (local://, reference://, zip://x::local://…)."""


class Refused(str):
    """Reason for a permanent failure: the file does not exist, or access is denied."""


def fetch_files(urls: Sequence[str], folder: Path, description: str) -> dict[str, Path | str]:
    """Fetch remote files that are not in the folder yet.

    Transient failures are tried NUM_TRIES times; when twice as many files in a row as there are threads fail, the
    network is considered down and the rest is not tried.

    Args:
        urls: of the files.
        folder: see ``file_place`` for their paths in it.
        description: for the progress bar.

    Returns:
        URL -> its file, or the reason why there is none (``Refused`` if it is permanent).

    Raises:
        InstsegError: the folder cannot be written, or the URLs need a package that is missing.
    """
    places = {url: folder / file_place(url) for url in dict.fromkeys(urls)}
    missing = {path: url for url, path in places.items() if not _is_there(path)}  # two URLs may be one file
    reasons: dict[Path, str] = {}
    if missing:
        _check_writable(folder)
        session = _Session(give_up_after=2 * NUM_THREADS)
        with show_progress(description, len(missing)) as show, ThreadPoolExecutor(NUM_THREADS) as pool:
            futures = {pool.submit(session.fetch, url, path): path for path, url in missing.items()}
            try:
                for num_done, future in enumerate(as_completed(futures), start=1):
                    if (reason := future.result()) is not None:
                        reasons[futures[future]] = reason
                    show(num_done, 0.0, session.num_bytes)
            finally:  # Ctrl-C, or nothing can be written: do not wait for all others
                pool.shutdown(wait=False, cancel_futures=True)
    return {url: reasons.get(path, path) for url, path in places.items()}


def may_be_fetched(address: str) -> bool:
    """Tell whether an address that stands in a label file is one to fetch: http(s), s3, gs or az, and no chain."""
    return PLAIN_ADDRESS.match(address) is not None


def _is_there(path: Path) -> bool:
    """Tell whether a file is there; an empty one, as a power cut may leave, is fetched again."""
    return path.is_file() and path.stat().st_size > 0


def file_place(url: str) -> PurePosixPath:
    """Return the path of a file in the folder, ``<hash of its parent's URL>/<its name>``; never outside the folder.

    The query of an https URL that names a file is ignored: a signed URL has another one every time.
    """
    address = _address(url)
    home, _, last = address.rpartition("/")
    name = re.sub(r"[^\w .()+=@,-]", "_", last).encode()[-MAX_NAME_BYTES:].decode(errors="ignore").strip(". ") or "_"
    if name != last:
        name = f"{_digest(last)[:8]}-{name}"
    return PurePosixPath(_digest(home)[:12], name)


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if parts.scheme not in ("http", "https"):
        return url
    path = unquote(parts.path)
    return f"{parts.netloc}{path}" if "." in PurePosixPath(path).name else f"{parts.netloc}{path}?{parts.query}"


def list_folder(url: str) -> dict[str, str]:
    """List the files below a remote folder.

    Returns:
        Path from the folder -> size and digest or time, which change with the file.

    Raises:
        InstsegError: the folder cannot be listed.
    """
    try:
        system, start = fsspec.core.url_to_fs(url)
        found: Mapping[str, Mapping[str, object]] = system.find(start, detail=True)
    except ImportError as error:
        raise InstsegError(_missing_package(url, error)) from error
    except Exception as error:  # each store raises errors of its own
        raise InstsegError(f"{url}: cannot be listed: {_text(error)}") from error
    start = start.rstrip("/")
    return {path.removeprefix(start).lstrip("/"): _state(found[path]) for path in sorted(found) if path != start}


def _state(info: Mapping[str, object]) -> str:
    stamps = (info.get(key) for key in ("ETag", "etag", "md5Hash", "LastModified", "updated", "mtime", "created"))
    return f"{info.get('size')} {next((str(stamp) for stamp in stamps if stamp), '')}"


def _check_writable(folder: Path) -> None:
    """Check that the folder can be written; a later PermissionError then comes from the server."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InstsegError(f"{folder}: cannot be written: {error}") from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _missing_package(url: str, error: ImportError) -> str:
    extra = EXTRAS.get(url.partition("://")[0].lower())
    return f'{url}: needs another package: pip install "instseg[{extra}]"' if extra else f"{url}: {error}"


def _text(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


@dataclass(slots=True)
class _Session:
    """State shared by the threads of one call."""

    give_up_after: int
    num_bytes: int = 0
    num_failed_in_a_row: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self, url: str, path: Path) -> str | None:
        """Fetch one file; return None, or the reason why it failed.

        Args:
            url: of the file.
            path: its destination.
        """
        if self.num_failed_in_a_row >= self.give_up_after:
            return f"not tried: {self.num_failed_in_a_row} files in a row had failed"
        reason = _fetch(url, path)
        with self.lock:
            self.num_bytes += path.stat().st_size if reason is None else 0
            passing = reason is not None and not isinstance(reason, Refused)
            self.num_failed_in_a_row = self.num_failed_in_a_row + 1 if passing else 0
        return reason


def _fetch(url: str, path: Path) -> str | None:
    reason = ""
    for attempt in range(NUM_TRIES):
        try:
            with replacing(path, sync=True) as scratch:
                _get(url, scratch)
            return None
        except ImportError as error:
            raise InstsegError(_missing_package(url, error)) from error
        except Exception as error:  # each store raises errors of its own
            if isinstance(error, OSError) and error.errno in (*DISK_FULL, errno.EROFS):
                raise InstsegError(f"{path}: {reason_of(error, path.parent)}") from error
            reason = _text(error)
            if _will_not_pass(error):
                return Refused(reason)
        if attempt + 1 < NUM_TRIES:
            time.sleep(BACKOFF_SECONDS * 2**attempt)
    return f"{reason} (tried {NUM_TRIES} times)"


def _get(url: str, scratch: Path) -> None:
    system, remote = fsspec.core.url_to_fs(url, **_options(url))
    system.get_file(remote, str(scratch))
    if not scratch.is_file():
        scratch.rmdir()
        raise IsADirectoryError("a folder, not a file")


def _options(url: str) -> Mapping[str, object]:
    if not re.match("https?://", url, re.IGNORECASE):
        return {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_SECONDS, sock_read=TIMEOUT_SECONDS)
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}


def _will_not_pass(error: Exception) -> bool:
    status = getattr(error, "status", None)
    refused = isinstance(status, int) and 400 <= status < 500 and status not in TRANSIENT_STATUS
    return refused or isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | ValueError)
