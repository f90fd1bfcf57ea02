"""A server on its port, until it is told to stop."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from instseg.core.errors import InstsegError
from instseg.deploy.serving.guard import KEY_VARIABLE
from instseg.deploy.serving.limits import Limits

MIN_KEY_LENGTH = 16
GRACE_SECONDS = 10
"""For what is being answered when the server is told to stop."""
CONNECTIONS_BESIDES = 100
"""Connections at once, besides those of requests that may wait."""
ALL_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""A host that stands for all addresses of this machine -> one of them."""
NEW_KEY = "python -c 'import secrets; print(secrets.token_urlsafe())'"


def check_access(host: str, key: str | None) -> None:
    """Require a key where others than this machine can reach the server.

    Args:
        host: that it listens on.
        key: that it asks for.

    Raises:
        InstsegError: there is none, or a short one.
    """
    if key is not None and len(key) < MIN_KEY_LENGTH:
        raise InstsegError(f"{KEY_VARIABLE}: expected {MIN_KEY_LENGTH} characters or more; {NEW_KEY} makes one")
    if key is None and not _is_loopback(host):
        raise InstsegError(
            f"host={host}: everybody who reaches this machine could use the server; set {KEY_VARIABLE} in the "
            f"environment ({NEW_KEY} makes one), or use host=127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """Take the port.

    Args:
        host: name or address.
        port: its number; 0 takes any that is free.

    Raises:
        InstsegError: another program has it, or there is no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise InstsegError(f"host={host} port={port}: {error}; port=0 takes one that is free") from error


def url_of(listening: socket.socket) -> str:
    """Return the address of a server for people on this machine."""
    host, port = listening.getsockname()[:2]
    host = ALL_ADDRESSES.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve(app: ASGIApp, listening: socket.socket, limits: Limits) -> None:
    """Answer requests until Ctrl-C or SIGTERM; what is being answered then is answered.

    Args:
        app: the application.
        listening: on its port.
        limits: of the requests.
    """
    with _stopped_by(signal.SIGINT, signal.SIGTERM):
        http_server(app, limits).run([listening])


def http_server(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    """Return what takes connections.

    Args:
        app: the application.
        limits: of the requests.
    """

    class Protocol(ImpatientProtocol):
        seconds = limits.seconds

    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=limits.waiting + CONNECTIONS_BESIDES,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )


@contextmanager
def _stopped_by(*signals: signal.Signals) -> Iterator[None]:
    """Let nothing come of signals that uvicorn has acted on and raises once more."""
    before = {received: signal.signal(received, lambda *_: None) for received in signals}
    try:
        yield
    finally:
        for received, handler in before.items():
            signal.signal(received, handler)


class ImpatientProtocol(H11Protocol):
    """HTTP on one connection, which is closed where the other side sends no request, or takes no answer, in time.

    uvicorn alone waits for both as long as the other side likes.
    """

    seconds: float

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect a request."""
        super().connection_made(cast(asyncio.Transport, transport))
        self._deadline = self.loop.call_later(self.seconds, self._close_without_request)

    def on_response_complete(self) -> None:
        """Expect the next request."""
        super().on_response_complete()
        self._deadline.cancel()
        self._deadline = self.loop.call_later(self.seconds, self._close_without_request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._deadline.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Expect the other side to take what has been sent."""
        super().pause_writing()
        self._taken = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that it has."""
        self._taken.cancel()
        super().resume_writing()

    def _close_without_request(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
