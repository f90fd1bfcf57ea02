"""HTTP requests that raise separate errors for transient and for permanent failures."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request

CHUNK_BYTES = 1 << 18
TRANSIENT_STATUS = {408, 425, 429}  # and all 5xx: the same request may succeed later


class TransientError(Exception):
    """A failed attempt; another one may succeed, at the earliest after ``wait_seconds``."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        """Store the pause that the server asks for.

        Args:
            reason: the message.
            wait_seconds: minimum pause before the next attempt.
        """
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class RangeRefusedError(TransientError):
    """The server has no bytes after the end of the part (status 416): the part is useless."""


class PermanentError(Exception):
    """A failure that every other attempt would repeat."""


class TooLargeError(PermanentError):
    """A file that is larger than it may be."""


def open_url(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout_seconds: float
) -> http.client.HTTPResponse:
    """Send a request.

    Args:
        opener: with the proxies.
        request: URL and headers.
        timeout_seconds: longest time without an answer.

    Raises:
        TransientError: another attempt may succeed.
        PermanentError: none will.
    """
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=timeout_seconds)
        return response
    except urllib.error.HTTPError as error:
        with error:
            raise _status_failure(error) from error
    except http.client.InvalidURL as error:
        raise PermanentError(f"not a valid URL: {error}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise PermanentError(f"the server's certificate is not trusted: {error.reason}") from error
        raise TransientError(f"no connection: {error.reason}") from error
    except TimeoutError as error:
        raise TransientError(f"stalled: no answer for {timeout_seconds:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(f"connection lost: {error!r}") from error


def _status_failure(error: urllib.error.HTTPError) -> TransientError | PermanentError:
    reason = f"status {error.code} {error.reason}"
    if error.code == 416:
        return RangeRefusedError(reason)
    if error.code in TRANSIENT_STATUS or error.code >= 500:
        retry_after = error.headers.get("Retry-After", "")
        return TransientError(reason, float(retry_after) if retry_after.isdecimal() else 0.0)
    return PermanentError(reason)


def read_chunk(response: http.client.HTTPResponse, timeout_seconds: float) -> bytes:
    """Return the next bytes as they arrive, empty at the end; read1, so that a stall loses nothing received before.

    Args:
        response: from ``open_url``.
        timeout_seconds: for the message.

    Raises:
        TransientError: the connection stalled or broke.
    """
    try:
        return response.read1(CHUNK_BYTES)
    except TimeoutError as error:
        raise TransientError(f"stalled: no byte for {timeout_seconds:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(f"connection lost: {error!r}") from error
