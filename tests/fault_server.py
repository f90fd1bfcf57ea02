"""A web server on this machine that misbehaves on request, as real ones do now and then."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from instseg.data.fetch.jobs import Download


@dataclass
class Site:
    """What the server serves, how it misbehaves, and what it was asked."""

    base_url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str | bytes]] = field(default_factory=dict)  # each request for the path uses up the first
    etag: str | None = '"v1"'
    honours_if_range: bool = True
    honours_range: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # (path, Range header)
    gathering: threading.Barrier | None = None  # requests wait here for each other
    over: threading.Event = field(default_factory=threading.Event)  # frees the stalled ones

    def job(self, name: str, folder: Path, **expected: object) -> Download:
        return Download(f"{self.base_url}/{name}", folder / name, **expected)  # type: ignore[arg-type]

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def ranges(self, name: str) -> list[str | None]:
        return [byte_range for path, byte_range in self.requests if path == f"/{name}"]


class Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        site = self.site
        site.requests.append((self.path, self.headers["Range"]))
        if site.gathering is not None:
            site.gathering.wait(timeout=60)
        fault = site.faults[self.path].pop(0) if site.faults.get(self.path) else ""
        content = site.files.get(self.path)
        if isinstance(fault, bytes):  # sent instead of the file
            self.answer_file(fault, "")
        elif fault.isdecimal():
            self.answer(int(fault), b"", {"Retry-After": "0"})
        elif content is None:
            self.answer(404, b"not here")
        else:
            self.answer_file(b"<html>sign in to the Wi-Fi</html>" if fault == "garbage" else content, fault)

    def answer_file(self, content: bytes, fault: str) -> None:
        headers = {"ETag": self.site.etag} if self.site.etag else {}
        wanted = self.headers["Range"]
        another = self.site.honours_if_range and self.headers["If-Range"] not in (None, self.site.etag)
        if wanted is None or another or not self.site.honours_range or fault == "ignores range":
            self.answer(200, content, headers, fault)
            return
        first, last = wanted.removeprefix("bytes=").split("-")
        start = int(first) if first else max(0, len(content) - int(last))
        stop = min(int(last) + 1, len(content)) if first and last else len(content)
        if start >= len(content):
            self.answer(416, b"", headers)
        else:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            self.answer(206, content[start:stop], headers, fault)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, fault: str = "") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        broken_off = fault in ("truncate", "stall", "reset")
        self.wfile.write(body[: len(body) // 2] if broken_off else body)
        if fault == "stall":
            self.site.over.wait(timeout=200)
        if fault == "reset":  # linger 0: the connection ends with RST instead of FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that hangs up is part of these tests


@contextlib.contextmanager
def serve() -> Iterator[Site]:
    """A site that is reached at ``base_url`` while the block lasts."""
    site = Site()
    server = QuietServer(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": site}))
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.02), daemon=True)
    thread.start()
    site.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    yield site
    site.over.set()
    server.shutdown()
    server.server_close()
