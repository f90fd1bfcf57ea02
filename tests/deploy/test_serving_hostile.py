"""Uploads that are no images, too large, damaged, slow or made to do harm: each is refused, and the server goes on."""

from __future__ import annotations

import io
import socket
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image as PilImage
from served import RED_AND_BLUE, called, colours_server, listening, png, talk

HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
IMAGE = png(RED_AND_BLUE)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A PNG that says that it has so many pixels, of which it holds none."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def tiff_of_floats() -> bytes:
    file = io.BytesIO()
    PilImage.fromarray(np.ones((4, 4), np.float32)).save(file, "TIFF")
    return file.getvalue()


@pytest.fixture(scope="module")
def client():
    with called(colours_server()) as client:
        yield client


@pytest.fixture(scope="module")
def address():
    with listening(colours_server(seconds=0.4)) as address:
        yield address


def status(answer: bytes) -> bytes:
    return answer.partition(b" ")[2][:3]


@pytest.mark.parametrize(
    ("content", "code", "sentence"),
    [
        pytest.param(b"", 415, "it is empty", id="empty"),
        pytest.param(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 415, "starts with b'%!PS-Ado'", id="program"
        ),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not an image", id="svg"),
        pytest.param(b"PK\x03\x04" + bytes(60), 415, "not an image", id="zip"),
        pytest.param(b"\0\0\0\x18ftypheic" + bytes(60), 415, "HEIC images cannot be read here: convert", id="heic"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(60), 415, "image", id="only the first bytes"),
        pytest.param(tiff_of_floats(), 415, "32-bit floats, whose range is not known", id="floats"),
        pytest.param(bomb(1001), 413, "1001 x 1001 pixels, this server takes up to 1 megapixels", id="too many pixels"),
        pytest.param(bomb(60_000), 413, "60000 x 60000 pixels, at most", id="bomb"),
        pytest.param(bomb(900), 422, "", id="pixels that are not there"),
        pytest.param(IMAGE[:-200], 422, "truncated", id="truncated"),
        pytest.param(bytes(1_000_001), 413, "more than 1 MB", id="too large"),
    ],
)
def test_what_is_no_image_that_it_takes_is_refused_with_a_sentence(client, content, code, sentence):
    answer = client.post("/predict", content=content, headers={"Content-Type": "image/png"})
    assert answer.status_code == code and sentence in answer.json()["detail"]
    assert "/tmp" not in answer.text and "\n" not in answer.json()["detail"]
    assert client.post("/predict", files={"image": IMAGE}).status_code == 200


@pytest.mark.parametrize(
    ("request_with", "code"),
    [
        ({"content": IMAGE}, 415),
        ({"content": IMAGE, "headers": {"Content-Type": "application/json"}}, 415),
        ({"files": {"picture": IMAGE}}, 422),
        ({"data": {"image": "text"}, "files": {"other": b""}}, 422),
        ({"files": [("image", IMAGE), ("image", IMAGE)]}, 400),
        ({"content": b"--x\r\nbroken", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 422),
        ({"content": b"broken", "headers": {"Content-Type": "multipart/form-data"}}, 400),
    ],
)
def test_a_body_of_another_form_is_refused_with_a_sentence(client, request_with, code):
    answer = client.post("/predict", **request_with)
    assert answer.status_code == code and answer.json()["detail"]


def test_nothing_of_an_upload_is_left_behind():
    server = colours_server()
    with called(server) as client:
        for content in (IMAGE, IMAGE[:100], b"no image"):
            client.post("/predict", files={"image": content})
        assert list(server.folder.iterdir()) == [] and server.batches.taken == 0
    assert not server.folder.exists()


def test_a_body_is_refused_by_its_length_before_it_is_sent(address):
    assert status(talk(address, HEAD + b"Content-Length: 1000001\r\n\r\n")) == b"413"
    assert status(talk(address, HEAD + b"Content-Length: 99999999999999999999\r\n\r\n")) == b"413"


def test_a_body_without_a_length_is_refused_when_it_is_too_large(address):
    pieces = [b"%x\r\n" % 250_000 + bytes(250_000) + b"\r\n"] * 5
    assert status(talk(address, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *pieces)) == b"413"


def test_a_body_that_comes_byte_by_byte_is_refused(address):
    slow = [IMAGE[i : i + 1] for i in range(10)]
    head = HEAD + b"Content-Length: %d\r\n\r\n" % len(IMAGE)
    assert status(talk(address, head, *slow, pause=0.1)) == b"408"


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(address):
    start = time.monotonic()
    assert talk(address, *[HEAD[i : i + 1] for i in range(20)], pause=0.1) == b""
    assert time.monotonic() - start < 3


def test_a_body_that_ends_early_or_is_longer_than_it_says_does_no_harm(address):
    with socket.create_connection(address) as connection:
        connection.sendall(HEAD + b"Content-Length: 5000\r\n\r\n" + IMAGE[:50])
    answer = talk(address, HEAD + b"Content-Length: %d\r\n\r\n" % len(IMAGE) + IMAGE + b"rest of another body\r\n\r\n")
    assert status(answer) == b"200" and b"HTTP/1.1 400" in answer


def test_two_lengths_that_differ_are_refused(address):
    assert status(talk(address, HEAD + b"Content-Length: 4\r\nContent-Length: 9\r\n\r\nabcd")) == b"400"


def test_afterwards_it_answers_as_before(address):
    head = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(IMAGE)
    answer = talk(address, head, IMAGE)
    assert status(answer) == b"200" and b'"red thing"' in answer
