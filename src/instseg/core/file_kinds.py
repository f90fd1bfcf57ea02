"""Files of other programs that are taken for weights, recognised by their first bytes. Imports no torch."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

HEAD_BYTES = 512
MAX_SAFETENSORS_HEADER = 100_000_000  # bytes, the limit of the format
SIGNS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (0, b"GGUF", "a GGUF model"),
    (0, b"\x93NUMPY", "an array of NumPy"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file itself: fetch it with git lfs pull"),
    (0, b"\x1f\x8b", "a gzip archive: unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (0, b"Rar!", "a RAR archive: unpack it"),
    (0, b"\xfd7zXZ", "an xz archive: unpack it"),
    (0, b"BZh", "a bzip2 archive: unpack it"),
    (257, b"ustar", "a tar archive: unpack it"),
    (0, b"%PDF", "a PDF"),
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
)
"""Offset and first bytes of a kind of files, and its name for messages."""
ONNX = re.compile(rb"\x08[\x01-\x20](\x12.[\x20-\x7e]{2}|\x3a|\x1a)", re.DOTALL)
"""Fields of ``ModelProto``: the version of its format, then its producer or its graph."""


CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
"""Bytes that no text has."""


def foreign_kind(path: Path) -> str | None:
    """Return what a file is that neither ``torch.save`` nor safetensors wrote; None where they may have.

    Args:
        path: an existing file.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    for offset, sign, kind in SIGNS:
        if head[offset:].startswith(sign):
            return kind
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    if ONNX.match(head):
        return "an ONNX model"
    return _kind_of_text(head)


def is_pickle(path: Path) -> bool:
    """Tell whether a file begins as a pickle does that is no archive, as older versions of torch wrote weights too.

    Args:
        path: an existing file.
    """
    with path.open("rb") as file:
        head = file.read(2)
    return head[:1] == b"\x80" and head[1:] in (b"\x02", b"\x03", b"\x04", b"\x05")


def is_safetensors(path: Path) -> bool:
    """Tell whether a file begins as safetensors do: the length of a header in JSON, and the header.

    Args:
        path: an existing file.
    """
    with path.open("rb") as file:
        head = file.read(9)
    length = int.from_bytes(head[:8], "little")
    return head[8:] == b"{" and 2 <= length <= min(MAX_SAFETENSORS_HEADER, path.stat().st_size - 8)


def _kind_of_zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):  # cut off, which torch says better
        return None
    if any(name.endswith("constants.pkl") for name in names):
        return "a TorchScript program"
    if any(name.endswith("data.pkl") for name in names):
        return None
    if "model.weights.h5" in names:
        return "a Keras model"
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays"
    return "a zip archive of other files: unpack it"


def _kind_of_text(head: bytes) -> str | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page: the address may need a login, or is not the download itself"
    if start.startswith((b"<?xml", b"<net ", b"<error", b"<")) and _is_text(head):
        return "an XML file, as OpenVINO writes beside its weights"
    if start.startswith((b"{", b"[")) and _is_text(head):
        return "a JSON file"
    is_other_text = start and not start.startswith(b"(")  # with which a pickle in letters begins
    return "a text file" if is_other_text and _is_text(head) and not CONTROLS.search(head) else None


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and json.dumps(head.decode(errors="replace")).count("\\ufffd") <= 1
