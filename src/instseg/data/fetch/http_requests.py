"""One HTTP request whose failures are told apart: those that may pass, and those that will not."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request

CHUNK_BYTES = 1 << 18
PASSING_STATUS = {408, 425, 429}  # with all of 5xx: the same request may succeed later


class PassingError(Exception):
    """This attempt failed; another may succeed, at the earliest after ``wait_seconds``."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class RangeRefusedError(PassingError):
    """The server has nothing from where the part ends (status 416): the part is of no use."""


class PermanentError(Exception):
    """No other attempt would do better."""


def open_url(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout_seconds: float
) -> http.client.HTTPResponse:
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
        raise PassingError(f"no connection: {error.reason}") from error
    except TimeoutError as error:
        raise PassingError(f"stalled: no answer for {timeout_seconds:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise PassingError(f"connection broke off: {error!r}") from error


def _status_failure(error: urllib.error.HTTPError) -> PassingError | PermanentError:
    reason = f"status {error.code} {error.reason}"
    if error.code == 416:
        return RangeRefusedError(reason)
    if error.code in PASSING_STATUS or error.code >= 500:
        retry_after = error.headers.get("Retry-After", "")
        return PassingError(reason, float(retry_after) if retry_after.isdecimal() else 0.0)
    return PermanentError(reason)


def read_chunk(response: http.client.HTTPResponse, timeout_seconds: float) -> bytes:
    """The next bytes as they arrive, empty at the end. read1, so that a stall loses nothing received before it."""
    try:
        return response.read1(CHUNK_BYTES)
    except TimeoutError as error:
        raise PassingError(f"stalled: no byte for {timeout_seconds:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise PassingError(f"connection broke off: {error!r}") from error
