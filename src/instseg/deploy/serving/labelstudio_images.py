"""Images of Label Studio's tasks: from the one Label Studio that the server was told, or from the folder of its files.

A task can name any address. Nothing is asked of another host than that one, no redirect is followed, and no file
outside of that folder is read: otherwise whoever writes a task could have this machine read what only this machine may.
"""

from __future__ import annotations

import json
import time
import urllib.request
from contextlib import closing
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import msgspec

from instseg.data.fetch.http_requests import PermanentError, TransientError, open_url, read_chunk
from instseg.deploy.serving.limits import UNUSABLE, Limits, RefusedError

TOKEN_VARIABLE = "LABEL_STUDIO_API_KEY"
LOCAL_FILES = "/data/local-files/"
PATHS = ("/data/", "/tasks/", "/projects/", "/storage-data/")
"""Paths of Label Studio that give out images."""
ACCESS_SECONDS = 240
"""That a token of access is used; it is good for 300."""


class _Access(msgspec.Struct):
    access: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Follow nothing: the answer with its code becomes the error."""


class TaskImages:
    """The images of tasks.

    Args:
        url: of Label Studio, such as http://localhost:8080; None: nothing is fetched.
        files: the folder that its storage of local files serves; None: they are fetched, too.
        token: of a user of it, a personal access token or a legacy one; None: that which it sends with a setup.
        limits: of an image.
    """

    def __init__(self, url: str | None, files: Path | None, token: str | None, limits: Limits) -> None:
        self._url, self._files, self._token, self._limits = (url or "").rstrip("/"), files, token, limits
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._access, self._good_until = "", 0.0

    def offer_token(self, token: str) -> None:
        """Take the token of a setup, where none was configured."""
        self._token = self._token or token

    def find(self, given: str, scratch: Path) -> Path:
        """Return the file of an image.

        Args:
            given: as the task names it.
            scratch: a file to fetch it into.

        Raises:
            RefusedError: it lies elsewhere, is too large, or cannot be had.
        """
        parts = _split(given)
        if self._files is not None and parts.path.endswith(LOCAL_FILES) and self._is_of_label_studio(parts):
            return self._local(parse_qs(parts.query).get("d", [""])[0])
        self._fetch(self._address(given, parts), scratch)
        return scratch

    def _is_of_label_studio(self, parts: SplitResult) -> bool:
        return not (parts.scheme or parts.netloc) or _origin(parts) == _origin(_split(self._url))

    def _local(self, name: str) -> Path:
        """Return a file below the folder, wherever its links lead."""
        root = (self._files or Path()).resolve()
        path = (root / name.lstrip("/")).resolve()
        if not path.is_relative_to(root):
            raise RefusedError(UNUSABLE, f"{name[:200]}: is not in labelstudio.files")
        if not path.is_file():
            raise RefusedError(UNUSABLE, f"{name[:200]}: there is no such file in labelstudio.files")
        self._limits.check_bytes(path.stat().st_size)
        return path

    def _address(self, given: str, parts: SplitResult) -> str:
        if not self._url:
            raise RefusedError(UNUSABLE, f"{given[:200]}: start the server with labelstudio.url=, its only source")
        base = _split(self._url)
        path = parts.path.removeprefix(base.path)
        is_image = path.startswith(PATHS) and not {".", ".."} & {*unquote(path).split("/")}
        if not self._is_of_label_studio(parts) or not is_image or not given.isprintable():
            raise RefusedError(UNUSABLE, f"{given[:200]}: only images that {self._url} gives out are fetched")
        return f"{self._url}{path}?{parts.query}" if parts.query else f"{self._url}{path}"

    def _fetch(self, address: str, scratch: Path) -> None:
        request = urllib.request.Request(address.replace(" ", "%20"), headers=self._authorization())
        end, num_bytes = time.monotonic() + self._limits.seconds, 0
        with closing(self._open(request)) as response, scratch.open("wb") as file:
            while chunk := self._read(response):
                num_bytes += len(chunk)
                self._limits.check_bytes(num_bytes)
                if time.monotonic() > end:
                    raise RefusedError(UNUSABLE, f"{address[:200]}: not here within {self._limits.seconds:g} s")
                file.write(chunk)

    def _open(self, request: urllib.request.Request) -> HTTPResponse:
        try:
            return open_url(self._opener, request, self._limits.seconds)
        except (PermanentError, TransientError, ValueError) as error:
            hint = f"; is a token of Label Studio in {TOKEN_VARIABLE}?" if "status 4" in str(error) else ""
            raise RefusedError(UNUSABLE, f"{request.full_url[:200]}: {error}{hint}") from error

    def _read(self, response: HTTPResponse) -> bytes:
        try:
            return read_chunk(response, self._limits.seconds)
        except TransientError as error:
            raise RefusedError(UNUSABLE, f"{response.geturl()[:200]}: {error}") from error

    def _authorization(self) -> dict[str, str]:
        if self._token is None:
            return {}
        if self._token.count(".") != 2:  # no JSON web token: a legacy one
            return {"Authorization": f"Token {self._token}"}
        if time.monotonic() > self._good_until:
            self._access, self._good_until = self._refreshed(self._token), time.monotonic() + ACCESS_SECONDS
        return {"Authorization": f"Bearer {self._access}"}

    def _refreshed(self, token: str) -> str:
        """Exchange a personal access token for one of access, as Label Studio asks."""
        content, headers = json.dumps({"refresh": token}).encode(), {"Content-Type": "application/json"}
        with closing(self._open(urllib.request.Request(f"{self._url}/api/token/refresh", content, headers))) as answer:
            try:
                return msgspec.json.decode(answer.read(1 << 16), type=_Access).access
            except msgspec.MsgspecError as error:
                raise RefusedError(UNUSABLE, f"{self._url} gives no access for {TOKEN_VARIABLE}: {error}") from error


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port  # checked when it is asked for
    except ValueError as error:
        raise RefusedError(UNUSABLE, f"{address[:200]}: {error}") from error
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
