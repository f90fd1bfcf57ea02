"""Only what was asked for leaves an archive, and only into the folder it was meant for."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from instseg.core.errors import InstsegError
from instseg.data.fetch.archives import extract_zip_members


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_only_the_named_members_are_extracted(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"annotations/a.json": b"{}", "annotations/b.json": b"[]"})
    assert extract_zip_members(archive, ["annotations/b.json"], tmp_path / "out") == [
        tmp_path / "out/annotations/b.json"
    ]
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["b.json"]


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:/evil", "", "a/.."])
def test_a_member_name_that_climbs_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    archive = make_zip(tmp_path / "a.zip", {name or "x": b"evil"})
    with pytest.raises(InstsegError, match="stays inside the target folder"):
        extract_zip_members(archive, [name], tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["a.zip"]


def test_a_missing_member_and_a_damaged_archive_are_named(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a.json": b"0123456789" * 100})
    with pytest.raises(InstsegError, match=r"a\.zip: expected members \['b\.json'\], found \['a\.json'\]"):
        extract_zip_members(archive, ["b.json"], tmp_path)
    archive.write_bytes(archive.read_bytes().replace(b"0123456789", b"0123456780", 1))
    with pytest.raises(InstsegError, match=r"a\.zip: damaged.*CRC"):
        extract_zip_members(archive, ["a.json"], tmp_path / "out")
    assert not (tmp_path / "out" / "a.json").exists()
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(InstsegError, match="not a zip archive"):
        extract_zip_members(archive, ["a.json"], tmp_path / "out")


def test_an_archive_with_a_password_says_that_it_cannot_be_unpacked(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", b"text")
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags of both headers: encrypted
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(InstsegError, match=r"a\.zip: cannot be unpacked .*unpack it and give"):
        extract_zip_members(path, ["a.txt"], tmp_path / "out")
