"""Members of zip archives on a server that misbehaves on request: only what is wanted is transferred, and whole."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_server import Site, serve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instseg.core.errors import InstsegError
from instseg.data.fetch import http_ranges, remote_zip
from instseg.data.fetch.http_ranges import RemoteFile
from instseg.data.fetch.jobs import DownloadReport
from instseg.data.fetch.remote_zip import ABSENT, RemoteZip, fetch_zip_members

NUM_MEMBERS = 60
MEMBER_BYTES = 3000
CONTENTS = {
    f"{i:02d}.png": np.random.default_rng(i).integers(0, 256, MEMBER_BYTES, dtype=np.uint8).tobytes()
    for i in range(NUM_MEMBERS)
}
FEW = ["41.png", "07.png", "30.png"]


def make_zip(contents: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.comment = comment
        for name, content in contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def offset_of(archive: bytes, name: str) -> int:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.getinfo(name).header_offset


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An archive of 180 kB, and requests that cost as much as 4 kB, so that few members are fetched one by one."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(http_ranges, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(remote_zip, "BYTES_PER_REQUEST", 4000)
    with serve() as site:
        site.files["/a.zip"] = make_zip(CONTENTS)
        yield site


def remote(site: Site, folder: Path, names: Sequence[str] = FEW, name: str = "a.zip") -> RemoteZip:
    return RemoteZip(f"{site.base_url}/{name}", folder / "downloads" / name, folder / "out", names)


def fetch(*archives: RemoteZip, **options: Any) -> DownloadReport:
    options = {"num_threads": 4, "num_retries": 2, "timeout_seconds": 30.0, "backoff_seconds": 0.01, **options}
    return fetch_zip_members(archives, title="Members", **options)


def patience(fault: str) -> float:
    return 1.0 if fault == "stall" else 30.0


def assert_written(folder: Path, names: Sequence[str] = FEW) -> None:
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == {n: CONTENTS[n] for n in names}


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("comment", [b"", b"x" * 5000])
def test_only_the_wanted_members_and_the_list_of_contents_are_transferred(
    site: Site, tmp_path: Path, compression: int, comment: bytes
) -> None:
    site.files["/a.zip"] = make_zip(CONTENTS, compression, comment)
    report = fetch(remote(site, tmp_path))
    assert_written(tmp_path)
    assert sorted(report.downloaded) == [tmp_path / "out" / name for name in sorted(FEW)]
    assert report.failures == []
    assert comment or len(site.requests) == 2 + len(FEW)
    list_bytes = NUM_MEMBERS * 52 + len(comment) + 2 * 1000
    assert report.num_bytes < 3 * (MEMBER_BYTES + 100) + list_bytes + (1 << 16) * bool(comment)
    assert not (tmp_path / "downloads" / "a.zip").exists()


def test_members_are_asked_for_in_the_order_of_the_archive(site: Site, tmp_path: Path) -> None:
    fetch(remote(site, tmp_path), num_threads=1)
    starts = [int(str(wanted)[6:].partition("-")[0]) for wanted in site.ranges("a.zip")[-3:]]
    assert starts == [offset_of(site.files["/a.zip"], name) for name in sorted(FEW)]


def test_members_are_fetched_in_parallel(site: Site, tmp_path: Path) -> None:
    site.files["/b.zip"] = site.files["/a.zip"]
    site.gathering = threading.Barrier(2)  # every request waits for another one
    names = ["03.png", "50.png"]
    fetch(remote(site, tmp_path, names), remote(site, tmp_path / "b", names, "b.zip"), num_threads=2)
    assert_written(tmp_path, names)
    assert_written(tmp_path / "b", names)


def test_what_is_there_already_is_not_asked_for_again(site: Site, tmp_path: Path) -> None:
    fetch(remote(site, tmp_path))
    site.requests.clear()
    report = fetch(remote(site, tmp_path))
    assert (site.requests, len(report.skipped), report.downloaded) == ([], 3, [])


@pytest.mark.parametrize("fault", ["500", "truncate", "stall", "reset", "ignores range"])
def test_a_request_that_fails_is_made_again(site: Site, tmp_path: Path, fault: str) -> None:
    fetch(remote(site, tmp_path / "first"), num_threads=1)
    num_requests = len(site.requests)
    site.faults["/a.zip"] = [""] * (num_requests - 1) + [fault]  # at the last member
    site.requests.clear()
    report = fetch(remote(site, tmp_path), num_threads=1, timeout_seconds=patience(fault))
    assert_written(tmp_path)
    assert report.failures == []
    assert len(site.requests) == num_requests + 1


@pytest.mark.parametrize("fault", ["503", "truncate", "stall", "reset"])
def test_a_list_of_contents_that_fails_is_asked_for_again(site: Site, tmp_path: Path, fault: str) -> None:
    site.faults["/a.zip"] = [fault]
    assert fetch(remote(site, tmp_path), timeout_seconds=patience(fault)).failures == []
    assert_written(tmp_path)


def test_a_member_with_a_wrong_crc_is_a_failure_that_names_it_and_leaves_no_file(site: Site, tmp_path: Path) -> None:
    stored = make_zip(CONTENTS, zipfile.ZIP_STORED)
    place = offset_of(stored, "07.png") + 500
    site.files["/a.zip"] = stored[:place] + bytes([stored[place] ^ 1]) + stored[place + 1 :]
    report = fetch(remote(site, tmp_path))
    assert_written(tmp_path, ["30.png", "41.png"])
    (failure,) = report.failures
    assert failure.path == tmp_path / "out" / "07.png"
    assert failure.reason == "received unexpected content: the member's size or CRC is wrong (tried 3 times)"


def test_a_member_that_is_always_cut_short_is_a_failure_that_says_so(site: Site, tmp_path: Path) -> None:
    site.faults["/a.zip"] = ["", "", *["truncate"] * 3]
    (failure,) = fetch(remote(site, tmp_path, ["07.png"])).failures
    assert failure.reason.startswith("truncated: got ")
    assert list(tmp_path.rglob("*.png*")) == []


def test_a_member_that_was_damaged_on_the_way_is_fetched_again(site: Site, tmp_path: Path) -> None:
    archive = site.files["/a.zip"]
    fetch(remote(site, tmp_path / "first"), num_threads=1)
    garbled = archive[:2000] + bytes(len(archive) - 2000)
    site.faults["/a.zip"] = [""] * (len(site.requests) - 1) + [garbled]  # type: ignore[list-item]
    assert fetch(remote(site, tmp_path), num_threads=1).failures == []
    assert_written(tmp_path)


def test_an_archive_from_a_server_that_knows_no_ranges_is_downloaded_whole_and_kept(site: Site, tmp_path: Path) -> None:
    site.honours_range = False
    report = fetch(remote(site, tmp_path))
    assert_written(tmp_path)
    assert (len(report.downloaded), report.failures) == (3, [])
    assert (tmp_path / "downloads" / "a.zip").read_bytes() == site.files["/a.zip"]
    site.requests.clear()
    fetch(remote(site, tmp_path, ["55.png"]))
    assert (tmp_path / "out" / "55.png").read_bytes() == CONTENTS["55.png"]
    assert site.requests == []


def test_an_archive_of_which_much_is_wanted_is_downloaded_whole(site: Site, tmp_path: Path) -> None:
    many = list(CONTENTS)[:50]
    fetch(remote(site, tmp_path, many))
    assert_written(tmp_path, many)
    assert site.ranges("a.zip") == ["bytes=-1000", None]


def test_a_member_that_the_archive_lacks_is_a_failure_and_the_others_are_written(site: Site, tmp_path: Path) -> None:
    for honours_range in (True, False):
        site.honours_range = honours_range
        folder = tmp_path / str(honours_range)
        report = fetch(remote(site, folder, [*FEW, "unknown.png"]))
        assert_written(folder)
        assert [(f.path.name, f.reason) for f in report.failures] == [("unknown.png", ABSENT)]


def test_an_archive_that_is_not_there_is_one_failure_that_names_its_address(site: Site, tmp_path: Path) -> None:
    del site.files["/a.zip"]
    (failure,) = fetch(remote(site, tmp_path)).failures
    assert failure.url == f"{site.base_url}/a.zip"
    assert failure.reason.startswith("status 404")


@pytest.mark.parametrize("honours_range", [True, False])
def test_what_is_no_zip_archive_is_a_failure(site: Site, tmp_path: Path, honours_range: bool) -> None:
    site.files["/a.zip"] = b"<html>sign in</html>" * 1000
    site.honours_range = honours_range
    (failure,) = fetch(remote(site, tmp_path)).failures
    assert "unexpected content" in failure.reason
    assert "zip archive" in failure.reason
    assert not (tmp_path / "downloads" / "a.zip").exists()


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/evil.png", "..\\evil.png", ""])
def test_a_name_that_climbs_out_of_the_folder_is_refused_before_anything_is_asked_for(
    site: Site, tmp_path: Path, name: str
) -> None:
    site.files["/a.zip"] = make_zip({**CONTENTS, name or "x": b"evil"})
    with pytest.raises(InstsegError, match="leads out of"):
        fetch(remote(site, tmp_path, [*FEW, name]))
    assert site.requests == []
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("packing", ["encrypted", "LZMA"])
def test_a_member_that_is_packed_in_another_way_is_a_failure(site: Site, tmp_path: Path, packing: str) -> None:
    if packing == "LZMA":
        site.files["/a.zip"] = make_zip(CONTENTS, zipfile.ZIP_LZMA)
    else:
        archive = bytearray(site.files["/a.zip"])
        entry = archive.rindex(b"PK\1\2", 0, archive.rindex(b"07.png"))
        archive[entry + 8] |= 1
        site.files["/a.zip"] = bytes(archive)
    report = fetch(remote(site, tmp_path, ["07.png"]))
    assert [failure.reason for failure in report.failures] == ["has an unsupported compression"]


def test_a_damaged_archive_that_was_placed_by_hand_is_named(site: Site, tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "a.zip").write_bytes(b"PK")
    with pytest.raises(InstsegError, match=r"a\.zip: expected a zip archive"):
        fetch(remote(site, tmp_path))


def test_a_full_disk_says_so(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(InstsegError, match=r"\.png: the disk is full"):
        fetch(remote(site, tmp_path))


def test_an_archive_of_very_many_members_is_read_too(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 20)  # really 65,535: from there on the list is a ZIP64 one
    site.files["/a.zip"] = make_zip(CONTENTS)
    assert b"PK\6\6" in site.files["/a.zip"]
    fetch(remote(site, tmp_path))
    assert_written(tmp_path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    ranges=st.booleans(),
    places=st.lists(st.tuples(st.integers(1, 400), st.sampled_from([0, 1, 127, 255])), min_size=1, max_size=5),
)
def test_a_damaged_list_of_contents_raises_nothing_else(
    site: Site, tmp_path_factory: pytest.TempPathFactory, ranges: bool, places: list[tuple[int, int]]
) -> None:
    content = bytearray(make_zip({name: CONTENTS[name] for name in FEW}))
    for from_the_end, value in places:
        content[-from_the_end] = value
    site.files["/a.zip"], site.honours_range = bytes(content), ranges
    folder = tmp_path_factory.mktemp("fuzz")
    try:
        report = fetch(remote(site, folder, ["07.png"]), num_retries=0)
    except InstsegError as error:
        assert "a.zip" in str(error)
    else:
        assert len(report.downloaded) + len(report.failures) == 1


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(-1, 500))))
def test_a_remote_file_reads_as_a_local_one_does(monkeypatch: pytest.MonkeyPatch, reads: list[tuple[int, int]]) -> None:
    monkeypatch.setattr(http_ranges, "BLOCK_BYTES", 64)
    content = bytes(np.random.default_rng(0).integers(0, 256, 500, dtype=np.uint8))

    def get(start: int, stop: int | None) -> tuple[bytes, int]:
        assert stop is None or 0 <= start < stop <= len(content)
        return content[start:stop], len(content)

    file, local = RemoteFile(get), io.BytesIO(content)
    for place, num_bytes in reads:
        assert file.seek(place) == local.seek(place)
        assert file.read(num_bytes) == local.read(num_bytes)
        assert file.tell() == local.tell()
    assert file.seek(-22, io.SEEK_END) == local.seek(-22, io.SEEK_END)
    assert file.read() == local.read()
