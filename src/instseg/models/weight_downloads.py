"""Download of weights into the cache of torch.hub, once for all processes, and verified where a digest is known."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

import torch

from instseg.core.errors import InstsegError
from instseg.core.file_kinds import foreign_kind
from instseg.core.locks import made_once

DOWNLOAD_TIMEOUT_SECONDS = 30.0
DIGEST = re.compile(r"-([0-9a-f]{8,})\.")
"""First digits of the sha256 in the name of a published file."""


class WeightsUnavailableError(InstsegError):
    """Weights that are named rightly, and cannot be downloaded or read."""


def download(url: str, is_published: bool = False) -> Path:
    """Return the file of a URL in the cache of torch.hub, after its download if needed.

    Args:
        url: of the file.
        is_published: torchvision publishes it, with its digest in its name, by which torch.hub's cache has it too.

    Raises:
        WeightsUnavailableError: it cannot be downloaded, or is not what its digest says.
    """
    path = cached_path(url, is_published)
    made_once(path, f"download {url}", lambda: _fetch(url, path))
    if is_published:
        _verify(path, url)
    return path


def cached_path(url: str, is_published: bool = False) -> Path:
    """Return the place of a URL's file: two addresses whose last parts are the same have two.

    Args:
        url: of the file.
        is_published: torchvision publishes it.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if not is_published:
        folder = folder / "by_address" / hashlib.sha256(url.encode()).hexdigest()[:16]
    return folder / (Path(urlparse(url).path).name or "weights")


def _fetch(url: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _socket_timeout(DOWNLOAD_TIMEOUT_SECONDS):
            torch.hub.download_url_to_file(url, str(path))
    except (OSError, HTTPException, RuntimeError, ValueError) as error:
        raise WeightsUnavailableError(
            f"the weights {url} could not be downloaded: {error}\nWays out: download them by hand to {path}; or name "
            "another file of weights"
        ) from error
    kind = foreign_kind(path)
    if kind is not None:
        path.unlink()
        raise WeightsUnavailableError(f"model.weights={url}: expected weights, found {kind}")


def _verify(path: Path, url: str) -> None:
    digest = DIGEST.search(path.name)
    if digest is None:
        return
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()[: len(digest[1])]
    if found != digest[1]:
        raise WeightsUnavailableError(
            f"the weights {path} ({path.stat().st_size:,} bytes): expected a sha256 that begins with {digest[1]}, "
            f"found {found}; most often a download was cut short\nWays out: delete it and run again to download {url}; "
            "or name another file of weights"
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
