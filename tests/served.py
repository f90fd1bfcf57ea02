"""A server for tests: a network that finds colours, its routes called without a socket or on a port of its own."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from colour_finder import FindsColours, photo
from fastapi import APIRouter
from PIL import Image as PilImage
from starlette.testclient import TestClient

from instseg.data.transforms.resize import Resize
from instseg.deploy.serving import rest
from instseg.deploy.serving.application import application
from instseg.deploy.serving.labelstudio import routes
from instseg.deploy.serving.labelstudio_images import TaskImages
from instseg.deploy.serving.limits import Limits
from instseg.deploy.serving.listening import bind, http_server
from instseg.deploy.serving.model import ServedModel
from instseg.deploy.serving.server import Server
from instseg.prediction.predictor import Predictor
from instseg.prediction.torch_network import TorchNetwork

LIMITS = Limits(megabytes=1, megapixels=1, waiting=4, seconds=20)
IDENTITY = {"run": "colours/1", "epoch": 3}
RED_AND_BLUE = photo(96, 128, red=(16, 32, 64, 80), blue=(80, 8, 120, 40))


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    PilImage.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def colours_server(batch_size: int = 1, predictor: Predictor | None = None, **limits: float) -> Server:
    found = predictor or Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(96, 128))
    return Server(ServedModel(found, IDENTITY, "auto", "instance"), batch_size, replace(LIMITS, **limits))


def label_studio(
    server: Server, url: str | None = None, files: Path | None = None, token: str | None = None
) -> APIRouter:
    return routes(server, TaskImages(url, files, token, server.limits))


@contextmanager
def called(server: Server, key: str | None = None, *others: APIRouter) -> Iterator[TestClient]:
    """The routes, called without a socket."""
    with TestClient(application(server, key, [rest.routes(server), *others]), base_url="http://localhost") as client:
        yield client


@contextmanager
def listening(server: Server, key: str | None = None) -> Iterator[tuple[str, int]]:
    """The server on a port of its own: host and port."""
    with bind("127.0.0.1", 0) as port:
        running = http_server(application(server, key, [rest.routes(server)]), server.limits)
        thread = threading.Thread(target=running.run, args=([port],))
        thread.start()
        while not running.started:
            time.sleep(0.01)
        try:
            yield port.getsockname()
        finally:
            running.should_exit = True
            thread.join()


def talk(address: tuple[str, int], *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send pieces of a request, and return all that comes back until the connection ends."""
    with socket.create_connection(address, timeout=15) as connection:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:  # the server has closed it
                break
            time.sleep(pause)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionError:
            pass
        return received
