"""Downloads against a server on this machine that misbehaves on request, as real ones do now and then."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_server import Handler, Site, serve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instseg.core.errors import InstsegError
from instseg.data.fetch import download, http_resume
from instseg.data.fetch import progress as download_progress
from instseg.data.fetch.download import download_files
from instseg.data.fetch.jobs import Download, DownloadReport

CONTENT = bytes(range(256)) * 40  # 10,240 bytes: every position is told apart from its neighbours
HALF = len(CONTENT) // 2


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as site:
        yield site


def fetch(*jobs: Download, **options: float) -> DownloadReport:
    options = {"num_threads": 4, "num_retries": 3, "timeout_seconds": 30.0, "backoff_seconds": 0.01, **options}
    return download_files(jobs, **options)  # type: ignore[arg-type]


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if ".part" in path.name)


def test_a_file_arrives_whole_under_its_name_and_leaves_nothing_beside_it(site: Site, tmp_path: Path) -> None:
    site.files["/a.bin"] = CONTENT
    report = fetch(site.job("a.bin", tmp_path / "deep" / "down"))
    assert report.downloaded == [tmp_path / "deep" / "down" / "a.bin"]
    assert report.downloaded[0].read_bytes() == CONTENT
    assert report.num_bytes == len(CONTENT)
    assert leftovers(tmp_path / "deep" / "down") == []


def test_an_empty_file_is_a_file(site: Site, tmp_path: Path) -> None:
    site.files["/empty"] = b""
    assert fetch(site.job("empty", tmp_path)).failures == []
    assert (tmp_path / "empty").read_bytes() == b""


def test_files_are_fetched_at_the_same_time(site: Site, tmp_path: Path) -> None:
    names = [f"{i}.bin" for i in range(8)]
    site.files = {f"/{name}": name.encode() for name in names}
    site.gathering = threading.Barrier(4)  # breaks unless four requests are under way together
    report = fetch(*(site.job(name, tmp_path) for name in names), num_threads=4)
    assert sorted(path.name for path in report.downloaded) == names
    assert all((tmp_path / name).read_bytes() == name.encode() for name in names)


def test_a_file_that_is_there_is_not_asked_for_again(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"mine")
    report = fetch(site.job("a.bin", tmp_path))
    assert report.skipped == [tmp_path / "a.bin"]
    assert site.requests == []


def test_a_file_that_a_power_cut_has_emptied_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    site.files["/a.bin"] = CONTENT
    (tmp_path / "a.bin").write_bytes(b"")
    assert fetch(site.job("a.bin", tmp_path)).downloaded == [tmp_path / "a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_file_of_the_wrong_size_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    site.files["/a.bin"] = CONTENT
    (tmp_path / "a.bin").write_bytes(b"half of it")
    fetch(site.job("a.bin", tmp_path, size_bytes=len(CONTENT)))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["truncate", "stall", "reset"])
def test_a_transfer_that_breaks_off_is_continued_where_it_broke(site: Site, tmp_path: Path, fault: str) -> None:
    site.files["/a.bin"] = CONTENT
    site.faults["/a.bin"] = [fault]
    assert fetch(site.job("a.bin", tmp_path), timeout_seconds=1.0 if fault == "stall" else 30.0).failures == []
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    first, second = site.ranges("a.bin")
    # A reset may discard bytes that had arrived already; then there is nothing to continue.
    assert first is None
    assert second == f"bytes={HALF}-" or (fault == "reset" and second is None)


def test_a_later_call_continues_what_an_earlier_one_left(site: Site, tmp_path: Path) -> None:
    site.files["/a.bin"] = CONTENT
    site.faults["/a.bin"] = ["truncate"]
    report = fetch(site.job("a.bin", tmp_path), num_retries=0)
    assert "truncated: got 5120 of 10240 bytes" in report.failures[0].reason
    assert leftovers(tmp_path) == ["a.bin.part", "a.bin.part.json"]
    report = fetch(site.job("a.bin", tmp_path))
    assert report.num_bytes == HALF
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert leftovers(tmp_path) == []


def test_a_server_that_ignores_ranges_makes_it_start_anew(site: Site, tmp_path: Path) -> None:
    site.files["/a.bin"] = CONTENT
    site.faults["/a.bin"] = ["truncate", "ignores range"]
    fetch(site.job("a.bin", tmp_path))
    assert site.ranges("a.bin") == [None, f"bytes={HALF}-"]
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("honours_if_range", [True, False])
@pytest.mark.parametrize("new", [CONTENT[::-1], CONTENT[::-1] + b"longer", b"short"])
def test_a_file_that_changed_on_the_server_is_never_mixed_with_the_old_one(
    site: Site, tmp_path: Path, honours_if_range: bool, new: bytes
) -> None:
    site.files["/a.bin"] = CONTENT
    site.faults["/a.bin"] = ["truncate"]
    fetch(site.job("a.bin", tmp_path), num_retries=0)
    site.files["/a.bin"], site.etag, site.honours_if_range = new, '"v2"', honours_if_range
    assert fetch(site.job("a.bin", tmp_path)).failures == []
    assert (tmp_path / "a.bin").read_bytes() == new


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_validator_nothing_is_continued(site: Site, tmp_path: Path, etag: str | None) -> None:
    site.etag = etag
    site.files["/a.bin"] = CONTENT
    site.faults["/a.bin"] = ["truncate"]
    fetch(site.job("a.bin", tmp_path))
    assert site.ranges("a.bin") == [None, None]
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_part_with_unreadable_notes_or_of_another_url_is_dropped(site: Site, tmp_path: Path) -> None:
    site.files["/a.bin"] = site.files["/b.bin"] = CONTENT
    for name, notes in (("a.bin", '{"url": "http'), ("b.bin", '{"url": "http://x/", "validator": "v", "total": 9}')):
        (tmp_path / f"{name}.part").write_bytes(b"something else")
        (tmp_path / f"{name}.part.json").write_text(notes)
    fetch(site.job("a.bin", tmp_path), site.job("b.bin", tmp_path))
    assert sorted(site.requests) == [("/a.bin", None), ("/b.bin", None)]
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("status", ["403", "404", "410"])
def test_what_is_not_there_is_asked_for_once_and_reported(site: Site, tmp_path: Path, status: str) -> None:
    site.files["/good.bin"] = site.files["/gone.bin"] = CONTENT
    site.faults["/gone.bin"] = [status]
    report = fetch(site.job("gone.bin", tmp_path), site.job("good.bin", tmp_path))
    assert [(failure.url, failure.path) for failure in report.failures] == [
        (f"{site.base_url}/gone.bin", tmp_path / "gone.bin")
    ]
    assert f"status {status}" in report.failures[0].reason
    assert report.downloaded == [tmp_path / "good.bin"]
    assert len(site.ranges("gone.bin")) == 1


@pytest.mark.parametrize("status", ["429", "500", "503"])
def test_an_overloaded_server_is_asked_again(site: Site, tmp_path: Path, status: str) -> None:
    site.files["/a.bin"] = CONTENT
    site.faults["/a.bin"] = [status, status]
    assert fetch(site.job("a.bin", tmp_path)).failures == []
    assert len(site.requests) == 3


def test_retries_end_and_the_report_says_why_and_how_often(site: Site, tmp_path: Path) -> None:
    site.files["/a.bin"] = CONTENT
    site.faults["/a.bin"] = ["500"] * 9
    report = fetch(site.job("a.bin", tmp_path), num_retries=2)
    assert "status 500" in report.failures[0].reason
    assert "(tried 3 times)" in report.failures[0].reason
    assert len(site.requests) == 3


def test_retry_after_is_respected(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "answer", lambda self, status, body, *rest: refuse_for_a_second(self, status))
    waits: list[float] = []
    monkeypatch.setattr(download._Session, "_pause", lambda self, num_failed, seconds: waits.append(seconds))
    fetch(site.job("a.bin", tmp_path), num_retries=2)
    assert waits == [7.0, 7.0]


def refuse_for_a_second(handler: Handler, status: int) -> None:
    handler.send_response(503)
    handler.send_header("Retry-After", "7")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def no_html(path: Path) -> None:
    if path.read_bytes().startswith(b"<html>"):
        raise InstsegError("got a web page")


def test_garbage_with_status_200_is_not_kept(site: Site, tmp_path: Path) -> None:
    site.files["/a.bin"] = CONTENT
    site.faults["/a.bin"] = ["garbage"] * 9
    report = fetch(site.job("a.bin", tmp_path, validate=no_html))
    assert "got a web page" in report.failures[0].reason
    assert list(tmp_path.iterdir()) == []


def test_garbage_is_replaced_by_the_file_once_the_server_has_recovered(site: Site, tmp_path: Path) -> None:
    site.files["/a.bin"] = CONTENT
    site.faults["/a.bin"] = ["garbage"]
    fetch(site.job("a.bin", tmp_path, validate=no_html))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_size_and_digests_are_checked(site: Site, tmp_path: Path) -> None:
    site.files = {f"/{name}": CONTENT for name in ("good", "size", "sha256", "md5")}
    sha256, md5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest()
    report = fetch(
        site.job("good", tmp_path, size_bytes=len(CONTENT), sha256=sha256.upper(), md5=md5),
        site.job("size", tmp_path, size_bytes=1),
        site.job("sha256", tmp_path, sha256="0" * 64),
        site.job("md5", tmp_path, md5="0" * 32),
        num_retries=0,
    )
    reasons = {failure.path.name: failure.reason for failure in report.failures}
    assert report.downloaded == [tmp_path / "good"]
    assert "expected 1 bytes, got 10240" in reasons["size"]
    assert f"expected sha256 {'0' * 64}, got {sha256}" in reasons["sha256"]
    assert f"got {md5}" in reasons["md5"]


def test_when_nothing_answers_the_rest_is_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as bound:  # bound but not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        report = fetch(*(Download(f"{url}/{i}", tmp_path / str(i)) for i in range(40)), num_retries=1)
    not_tried = [failure for failure in report.failures if "not tried" in failure.reason]
    assert len(report.failures) == 40
    assert len(not_tried) >= 40 - 8 - 4
    assert any("no connection" in failure.reason for failure in report.failures)


@pytest.mark.skipif(os.name == "nt", reason="sends itself SIGINT")
def test_ctrl_c_stops_at_once_and_the_next_call_goes_on(site: Site, tmp_path: Path) -> None:
    site.files["/a.bin"] = CONTENT
    site.faults["/a.bin"] = ["stall"]
    read, arrived = http_resume.read_chunk, [0]

    def read_chunk(response: http.client.HTTPResponse, timeout_seconds: float) -> bytes:
        if arrived[0] == HALF:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        chunk = read(response, timeout_seconds)
        arrived[0] += len(chunk)
        return chunk

    started = time.monotonic()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(http_resume, "read_chunk", read_chunk)
        download_files([site.job("a.bin", tmp_path)], timeout_seconds=100)
    assert time.monotonic() - started < 50
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[:HALF]
    report = fetch(site.job("a.bin", tmp_path))
    assert report.num_bytes == HALF
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_part_that_was_complete_is_only_verified(site: Site, tmp_path: Path) -> None:
    job = site.job("a.bin", tmp_path)
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    (tmp_path / "a.bin.part.json").write_text(
        f'{{"url": "{job.url}", "validator": "v1", "total": {len(CONTENT)}}}', encoding="utf-8"
    )
    assert fetch(job).downloaded == [tmp_path / "a.bin"]
    assert site.requests == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["truncate", "reset", "ignores range", "garbage", "429", "500"]), max_size=4))
def test_whatever_goes_wrong_the_file_is_right_or_absent(
    site: Site, tmp_path_factory: pytest.TempPathFactory, faults: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    site.files["/a.bin"] = CONTENT
    site.faults["/a.bin"] = list(faults)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    report = fetch(site.job("a.bin", folder, sha256=sha256), num_retries=2)
    there = (folder / "a.bin").exists()
    assert there == (report.failures == [])
    assert there or len(faults) > 2
    assert not there or (folder / "a.bin").read_bytes() == CONTENT


def test_a_place_that_cannot_be_written_stops_everything_with_its_name(site: Site, tmp_path: Path) -> None:
    site.files["/a.bin"] = CONTENT
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InstsegError, match=r"file/a\.bin: expected a folder, found the file .*/file\. Remove it"):
        fetch(site.job("a.bin", tmp_path / "file"))


def test_an_error_in_the_callers_check_is_not_swallowed(site: Site, tmp_path: Path) -> None:
    site.files["/a.bin"] = CONTENT
    with pytest.raises(ZeroDivisionError):
        fetch(site.job("a.bin", tmp_path, validate=lambda path: print(1 / 0)))


def test_jobs_that_make_no_sense_are_refused_before_any_request(tmp_path: Path) -> None:
    with pytest.raises(InstsegError, match="http"):
        fetch(Download("file:///etc/passwd", tmp_path / "a"))
    with pytest.raises(InstsegError, match="more than once"):
        fetch(Download("http://127.0.0.1/1", tmp_path / "a"), Download("http://127.0.0.1/2", tmp_path / "a"))


def test_without_a_terminal_progress_is_logged(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(download_progress, "LOG_SECONDS", 0.0)
    site.files["/a.bin"] = CONTENT
    with caplog.at_level(logging.INFO, logger="instseg.data"):
        download_files([site.job("a.bin", tmp_path)], title="COCO images")
    assert "COCO images: 1/1 files, 0.0 MB" in caplog.text
    assert "COCO images: 1 downloaded, 0 already there, 0 failed" in caplog.text
