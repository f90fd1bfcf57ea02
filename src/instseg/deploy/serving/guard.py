"""The door of the server: who may come in, and how much they may bring."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from instseg.deploy.serving.limits import BAD_REQUEST, FORBIDDEN, UNAUTHORIZED, Limits, RefusedError
from instseg.deploy.serving.meters import Meters
from instseg.deploy.serving.uploads import LimitedBody

KEY_VARIABLE = "INSTSEG_API_KEY"
OPEN_PATHS = ("/health", "/labelstudio/health", "/docs", "/openapi.json")
"""Paths that tell nobody anything and need no key."""
KEY_HEADERS = ("x-api-key", "token")
"""Headers that may hold the key; the second is that of X-AnyLabeling."""
LOCAL_NAME = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)
HINT = "Authorization: Bearer KEY, or the key as the password of HTTP's basic authentication"


@dataclass(frozen=True, slots=True)
class Guard:
    """The checks of every request before the routes; as an application of ASGI around theirs.

    Without a key the server is for this machine alone, and is to be called by a name of it: a page in a browser that
    has a name of its own point here, to read what this server says, is refused.

    Args:
        app: with the routes.
        limits: of a request.
        key: that every request needs; None: none.
        meters: of the answers.
    """

    app: ASGIApp
    limits: Limits
    key: str | None
    meters: Meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with self.meters.request(str(scope["path"])) as answered:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    answered(message["status"])
                await send(message)

            try:
                self._check(scope)
            except RefusedError as error:
                await refusal(error)(scope, receive, send_and_note)
            else:
                await self.app(scope, LimitedBody(receive, self.limits), send_and_note)

    def _check(self, scope: Scope) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if self.key is None and not LOCAL_NAME.fullmatch(host):
            raise RefusedError(FORBIDDEN, f"host {host[:80]!r}: without a key this server answers to localhost alone")
        if self.key is not None and scope["path"] not in OPEN_PATHS and not _has_key(headers, self.key):
            raise RefusedError(UNAUTHORIZED, f"this server needs a key: {HINT}")
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise RefusedError(BAD_REQUEST, "Content-Length is no number")
        self.limits.check_bytes(int(length[:18]))


def _has_key(headers: dict[str, str], key: str) -> bool:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        given = next((headers[name] for name in KEY_HEADERS if name in headers), "")
    return hmac.compare_digest(given.encode(), key.encode())


def refusal(error: RefusedError) -> JSONResponse:
    """Return the answer to a request that is refused: its code, and ``{"detail": sentence}``."""
    headers = {"Connection": "close"}  # of a body that has not been read the rest would be taken for a request
    if error.status == UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="instseg"'
    if error.status in (429, 503):
        headers["Retry-After"] = "1"
    return JSONResponse({"detail": str(error)}, error.status, headers)
