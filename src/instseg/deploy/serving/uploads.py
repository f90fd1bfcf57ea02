"""Bodies of requests on their way to a file: what is too large or too slow is refused while it arrives."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from instseg.deploy.serving.limits import NO_IMAGE, TIMEOUT, UNUSABLE, Limits, RefusedError

FIELD = "image"
"""The field of a form that holds the image."""
BINARY, FORM = ("image/", "application/octet-stream"), "multipart/form-data"
EXPECTED = (
    "expected an image: as a form, curl -F image=@a.jpg, or as the body, "
    "curl -H 'Content-Type: image/jpeg' --data-binary @a.jpg"
)
CHUNK_BYTES = 1 << 18


class LimitedBody:
    """The parts of a body as they arrive; it ends where the limits do.

    Args:
        receive: the source.
        limits: of the bytes, and of the time for all of them.
    """

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive, self._limits = receive, limits
        self._num_bytes, self._is_whole = 0, False
        self._end = asyncio.get_running_loop().time() + limits.seconds

    async def __call__(self) -> Message:
        """Return the next part; after the last one whatever the connection says, which may take its time.

        Raises:
            RefusedError: the body is too large, or too slow.
        """
        try:
            async with asyncio.timeout_at(None if self._is_whole else self._end):
                message = await self._receive()
        except TimeoutError as error:
            raise RefusedError(TIMEOUT, f"the body did not arrive within {self._limits.seconds:g} s") from error
        if message["type"] == "http.request":
            self._num_bytes += len(message.get("body", b""))
            self._limits.check_bytes(self._num_bytes)
            self._is_whole = not message.get("more_body", False)
        return message


@asynccontextmanager
async def received_image(request: Request, folder: Path) -> AsyncIterator[Path]:
    """Write the image of a request into a file, which is removed at the end.

    Args:
        request: with a form or an image as its body.
        folder: for the file.

    Raises:
        RefusedError: there is no image in it.
    """
    kind = request.headers.get("content-type", "").lower()
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        if kind.startswith(FORM):
            async for chunk in _of_form(request):
                file.write(chunk)
        elif kind.startswith(BINARY):
            async for chunk in request.stream():
                file.write(chunk)
        else:
            found = f"found {kind[:60]}" if kind else "found no Content-Type"
            raise RefusedError(NO_IMAGE, f"{EXPECTED}; {found}")
        file.flush()
        yield Path(file.name)


async def _of_form(request: Request) -> AsyncIterator[bytes]:
    async with request.form(max_files=1, max_fields=16) as form:
        image = form.get(FIELD)
        if not isinstance(image, UploadFile):
            raise RefusedError(UNUSABLE, f"the form has no file named {FIELD}; {EXPECTED}")
        while chunk := await image.read(CHUNK_BYTES):
            yield chunk
