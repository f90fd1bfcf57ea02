"""Download of weights into the cache of torch.hub, once for all processes, and verified where a digest is known."""

from __future__ import annotations

import glob
import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

import torch

from instseg.core.atomic import replacing
from instseg.core.disk_reasons import FAULTS_OF_THE_DISK, reason_of
from instseg.core.errors import InstsegError
from instseg.core.file_kinds import foreign_kind
from instseg.core.locks import made_once

DOWNLOAD_TIMEOUT_SECONDS = 30.0
DIGEST = re.compile(r"-([0-9a-f]{8,})\.")
"""First digits of the sha256 in the name of a file, as torch.hub publishes them."""


class WeightsUnavailableError(InstsegError):
    """Weights that are named rightly, and cannot be downloaded or read."""


def download(url: str, is_published: bool = False) -> Path:
    """Return the file of a URL in the cache of torch.hub, after its download if needed.

    Args:
        url: of the file.
        is_published: torchvision publishes it, with its digest in its name, by which torch.hub's cache has it too.

    Raises:
        WeightsUnavailableError: it cannot be downloaded or kept, or is not what its digest says.
    """
    path, digest = cached_path(url, is_published), _known_digest(url, is_published)
    try:
        made_once(path, f"download {url}", lambda: _fetch(url, path, digest))
        _verify(path, url, digest, f"delete {path} and run again to download it")
    except OSError as error:
        folder = Path(torch.hub.get_dir()).absolute()
        raise WeightsUnavailableError(
            f"the weights {url} are kept in {folder}: {reason_of(error, folder.parent)}\nWays out: set TORCH_HOME to "
            "another folder; or name a file of weights"
        ) from error
    return path


def cached_path(url: str, is_published: bool = False) -> Path:
    """Return the place of a URL's file: two addresses whose last parts are the same have two.

    Args:
        url: of the file.
        is_published: torchvision publishes it.
    """
    folder = Path(torch.hub.get_dir()).absolute() / "checkpoints"
    if not is_published:
        folder = folder / "by_address" / hashlib.sha256(url.encode()).hexdigest()[:16]
    return folder / (Path(urlparse(url).path).name or "weights")


def _fetch(url: str, path: Path, digest: str) -> None:
    """Download a file that gets its name once it is whole, what it should be, and on the disk."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part*"):  # by killed downloads: this one has the lock
        left.unlink()
    with replacing(path, sync=True) as received:
        try:
            with _socket_timeout(DOWNLOAD_TIMEOUT_SECONDS):
                torch.hub.download_url_to_file(url, str(received))
        except (OSError, HTTPException, RuntimeError, ValueError) as error:
            if _is_of_the_disk(error):
                raise
            raise WeightsUnavailableError(
                f"the weights {url} could not be downloaded: {error}\nWays out: download them by hand to {path}; or "
                "name another file of weights"
            ) from error
        kind = foreign_kind(received)
        if kind is not None:
            raise WeightsUnavailableError(f"model.weights={url}: expected weights, found {kind}")
        _verify(received, url, digest, "run again to download it")


def _is_of_the_disk(error: Exception) -> bool:
    is_of_the_network = isinstance(error, URLError)  # which may bear a number that a disk has too
    return isinstance(error, OSError) and not is_of_the_network and error.errno in FAULTS_OF_THE_DISK


def _known_digest(url: str, is_published: bool) -> str:
    """Return the first digits of the sha256 that the name of an address bears; none where they may be a date."""
    found = DIGEST.search(Path(urlparse(url).path).name)
    return "" if found is None or (found[1].isdecimal() and not is_published) else found[1]


def _verify(path: Path, url: str, digest: str, remedy: str) -> None:
    if not digest:
        return
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()[: len(digest)]
    if found != digest:
        raise WeightsUnavailableError(
            f"the weights {url} ({path.stat().st_size:,} bytes): expected a sha256 that begins with {digest}, as in "
            f"their name, found {found}; most often a download was cut short\nWays out: {remedy}; if the name means "
            "something else, download the file by hand and give its path; or name another file of weights"
        )


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Set a timeout for new connections; torch.hub sets none, and a stalled download would never end."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
