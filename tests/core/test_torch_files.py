"""Files that are given for weights: what other programs wrote is called by its name, and none runs code."""

from __future__ import annotations

import argparse
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from instseg.core.file_kinds import foreign_kind, is_safetensors
from instseg.core.torch_files import ForeignFileError, TorchFileError, load_torch_file

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")


class Payload:
    """Would make a file on loading, were it allowed to."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


def saved(content: object, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def scripted() -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), stream)
    return stream.getvalue()


def arrays() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(2))
    return stream.getvalue()


FOREIGN = {
    b"\x89HDF\r\n\x1a\n\0\0": "an HDF5 file, as Keras writes",
    b"\x1c\0\0\0TFL3\x14\0": "a TensorFlow Lite model",
    b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x80": "an ONNX model",
    b"\x08\x0a:\xf0\x11\n\x20graph": "an ONNX model",
    b"<!DOCTYPE html>\n<title>Log in</title>": "a web page",
    b"\n  <HTML lang=en>": "a web page",
    b'<?xml version="1.0"?>\n<net name="x" version="11">': "an XML file, as OpenVINO writes",
    b'{"weights": []}': "a JSON file",
    b"# Weights\n\nAsk for them.": "a text file",
    "epoch,größe\n1,2\n".encode(): "a text file",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:1": "a pointer of Git LFS",
    b"\x1f\x8b\x08\x00": "a gzip archive",
    b"\x89PNG\r\n": "a PNG image",
    arrays(): "an archive of NumPy arrays",
    scripted(): "a TorchScript program",
}
REFUSED = {
    saved({"a": Payload()}): "holds code, getattr",
    saved(torch.nn.Linear(1, 1)): "holds code, torch.nn.modules.linear.Linear",
    saved({"a": argparse.Namespace(lr=1)}): "holds code, argparse.Namespace",
    saved(Payload(), _use_new_zipfile_serialization=False): "holds code",
    pickle.dumps({"model": np.zeros(3)}): "a pickle of other things",
    pickle.dumps({"model": 1}, protocol=0): "a pickle of other things",
}
DAMAGED = [
    b"",
    b"\0" * 900,
    saved({"a": 1})[:300],
    saved({"a": 1}, _use_new_zipfile_serialization=False)[:60],
    b"PK\x03\x04",
]


@pytest.mark.parametrize(("content", "kind"), FOREIGN.items(), ids=range(len(FOREIGN)))
def test_a_file_of_another_program_is_called_by_its_name(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "file.pth").write_bytes(content)
    with pytest.raises(ForeignFileError, match=kind):
        load_torch_file(tmp_path / "file.pth")


@pytest.mark.parametrize(("content", "reason"), REFUSED.items(), ids=range(len(REFUSED)))
def test_code_in_a_file_is_refused_by_its_name_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file.pth").write_bytes(content)
    with pytest.raises(ForeignFileError, match=reason) as caught:
        load_torch_file(Path("file.pth"))
    assert "weights_only" not in str(caught.value) and not Path("ran").exists()


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_not_called_another_program_s(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.pth").write_bytes(content)
    with pytest.raises(TorchFileError) as caught:
        load_torch_file(tmp_path / "file.pth")
    assert not isinstance(caught.value, ForeignFileError)
    assert "weights_only" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"])
def test_what_torch_saves_is_read(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "file.pth").write_bytes(saved({"a": torch.ones(2), "names": ["x"]}, **options))
    assert foreign_kind(tmp_path / "file.pth") is None and not is_safetensors(tmp_path / "file.pth")
    content = load_torch_file(tmp_path / "file.pth")
    assert isinstance(content, dict) and content["names"] == ["x"] and content["a"].sum() == 2


def test_safetensors_are_read_and_cut_ones_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    save_file({"a": torch.ones(2)}, path)
    assert is_safetensors(path)
    content = load_torch_file(path)
    assert isinstance(content, dict) and content["a"].tolist() == [1, 1]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(TorchFileError, match="not fully covered"):
        load_torch_file(path)
