"""Only what was asked for leaves an archive, and only into the folder it was meant for."""

from __future__ import annotations

import os
import zipfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from instseg.core.errors import InstsegError
from instseg.data.fetch.archives import check_unpacked_size, extract_zip_members
from instseg.data.fetch.dataset_root import local_root


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


def test_an_archive_that_becomes_too_large_is_not_unpacked_unless_an_option_allows_it(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", bytes(1_000_000))
    told = r"bomb.zip: 0.0 MB would become 0.00 GB, and at most 0.00 GB .*dataset.max_unpacked_gb=0.1"
    with pytest.raises(InstsegError, match=told):
        local_root(str(path), tmp_path / "cache", 0.0005)
    assert not list((tmp_path / "cache").rglob("a.json"))
    assert (local_root(str(path), tmp_path / "cache", 0.002) / "a.json").stat().st_size == 1_000_000


@pytest.mark.parametrize(("archive_mb", "unpacked_mb", "fits"), [(0.4, 300, False), (0.4, 150, True), (9, 850, True)])
def test_a_hundred_times_its_size_is_what_an_archive_may_become(tmp_path, archive_mb, unpacked_mb, fits):
    path = tmp_path / "x.zip"
    path.touch()
    os.truncate(path, int(archive_mb * 1e6))
    with nullcontext() if fits else pytest.raises(InstsegError, match=r"0.4 MB would become 0.30 GB"):
        check_unpacked_size(path, unpacked_mb * 1_000_000)


def test_a_member_is_unpacked_no_further_than_its_size_says(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", bytes(1_000_000))
    path.write_bytes(path.read_bytes().replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(InstsegError, match="damaged or not a zip archive"):
        extract_zip_members(path, ["a.txt"], tmp_path / "out")
    assert not any(file.stat().st_size > 10 for file in (tmp_path / "out").iterdir())
