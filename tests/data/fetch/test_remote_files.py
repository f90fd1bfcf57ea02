"""Many small files fetched from stores that fsspec knows: a web server on this machine, and one in memory."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import fsspec
import pytest
from fault_server import Site, serve

from instseg.core.errors import InstsegError
from instseg.data.fetch import remote_files
from instseg.data.fetch.remote_files import Refused, fetch_files, file_place, list_folder


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(remote_files, "BACKOFF_SECONDS", 0.001)
    with serve() as served:
        served.etag = None
        yield served


@pytest.fixture
def store():
    """The file system behind memory://, empty."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    yield memory
    memory.store.clear()


def urls(site: Site, *paths: str) -> list[str]:
    site.files.update({path: f"content of {path}".encode() for path in paths})
    return [site.base_url + path for path in paths]


def test_each_file_comes_whole_under_its_own_name(site, tmp_path):
    wanted = urls(site, "/photos/a.jpg", "/photos/b.jpg", "/more/a.jpg")
    fetched = fetch_files(wanted, tmp_path / "cache", "Photos")
    assert [fetched[url].read_bytes() for url in wanted] == list(site.files.values())
    assert [fetched[url].name for url in wanted] == ["a.jpg", "b.jpg", "a.jpg"]
    assert fetched[wanted[0]].parent == fetched[wanted[1]].parent != fetched[wanted[2]].parent
    assert len(list(tmp_path.rglob("*.*"))) == 3  # no scratch files


def test_what_is_there_is_not_fetched_again(site, tmp_path):
    wanted = urls(site, "/a.jpg", "/b.jpg")
    first = fetch_files(wanted[:1], tmp_path, "Photos")
    assert fetch_files(wanted, tmp_path, "Photos")[wanted[0]] == first[wanted[0]]
    assert sorted(site.paths) == ["/a.jpg", "/b.jpg"]


def test_a_file_that_a_power_cut_has_emptied_is_fetched_again(site, tmp_path):
    [url] = urls(site, "/a.jpg")
    path = fetch_files([url], tmp_path, "Photos")[url]
    path.write_bytes(b"")
    assert fetch_files([url], tmp_path, "Photos")[url].read_bytes() == site.files["/a.jpg"]


def test_sixteen_files_come_at_a_time(site, tmp_path):
    site.gathering = threading.Barrier(16)  # answers only when sixteen have asked
    wanted = urls(site, *(f"/{i}.jpg" for i in range(16)))
    assert all(isinstance(result, Path) for result in fetch_files(wanted, tmp_path, "Photos").values())


@pytest.mark.parametrize("fault", ["500", "503", "429", "truncate", "reset"])
def test_a_fault_that_passes_is_tried_again(site, tmp_path, fault):
    [url] = urls(site, "/a.jpg")
    site.faults["/a.jpg"] = [fault, fault]
    assert fetch_files([url], tmp_path, "Photos")[url].read_bytes() == site.files["/a.jpg"]


def test_a_fault_that_does_not_pass_is_told_and_the_others_come(site, tmp_path):
    wanted = urls(site, "/a.jpg", "/b.jpg")
    site.faults["/a.jpg"] = ["500"] * 9
    fetched = fetch_files(wanted, tmp_path, "Photos")
    assert "500" in fetched[wanted[0]] and fetched[wanted[0]].endswith("(tried 4 times)")
    assert not isinstance(fetched[wanted[0]], Refused)
    assert fetched[wanted[1]].is_file()


@pytest.mark.parametrize("status", ["401", "403", "404", "410"])
def test_a_file_that_is_not_there_or_not_for_us_is_asked_for_once(site, tmp_path, status):
    [url] = urls(site, "/a.jpg")
    site.faults["/a.jpg"] = [status]
    assert isinstance(fetch_files([url], tmp_path, "Photos")[url], Refused)
    assert site.paths == ["/a.jpg"]


def test_when_nothing_answers_the_rest_is_not_tried(site, tmp_path, monkeypatch):
    monkeypatch.setattr(remote_files, "NUM_THREADS", 1)
    wanted = urls(site, "/a.jpg", "/b.jpg", "/c.jpg")
    site.faults = {path: ["503"] * 9 for path in site.files}
    fetched = fetch_files(wanted, tmp_path, "Photos")
    assert fetched[wanted[2]] == "not tried: 2 files in a row had failed"
    assert "/c.jpg" not in site.paths


def test_two_addresses_of_one_file_bring_it_once(site, tmp_path):
    [url] = urls(site, "/a.jpg")
    site.files |= {"/a.jpg?signature=1": b"x", "/a.jpg?signature=2": b"x"}
    fetched = fetch_files([f"{url}?signature=1", f"{url}?signature=2"], tmp_path, "Photos")
    assert len(set(fetched.values())) == len(site.paths) == 1


def test_any_store_of_fsspec_is_read_and_listed(store, tmp_path):
    store.pipe({"/bucket/x/a b.jpg": b"1", "/bucket/x/deep/c%20d.jpg": b"2", "/bucket/other.jpg": b"3"})
    assert list(list_folder("memory://bucket/x")) == ["a b.jpg", "deep/c%20d.jpg"]
    wanted = [f"memory://bucket/x/{name}" for name in list_folder("memory://bucket/x/")]
    fetched = fetch_files(wanted, tmp_path, "Photos")
    assert [fetched[url].read_bytes() for url in wanted] == [b"1", b"2"]


def test_a_listing_tells_that_a_file_has_changed(store):
    store.pipe({"/bucket/a.jpg": b"1", "/bucket/b.jpg": b"1"})
    before = list_folder("memory://bucket")
    store.pipe({"/bucket/b.jpg": b"two"})
    after = list_folder("memory://bucket")
    assert [name for name in before if before[name] != after[name]] == ["b.jpg"]


def test_a_missing_file_and_a_folder_in_a_store_are_refused(store, tmp_path):
    store.pipe({"/bucket/folder/a.jpg": b"1"})
    wanted = ["memory://bucket/no.jpg", "memory://bucket/folder"]
    assert all(isinstance(result, Refused) for result in fetch_files(wanted, tmp_path, "Photos").values())
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_an_unknown_kind_of_store_is_refused_and_cannot_be_listed(tmp_path):
    url = "azure-blob://container/a.jpg"
    assert "Protocol not known" in fetch_files([url], tmp_path, "Photos")[url]
    with pytest.raises(InstsegError, match="azure-blob://container: cannot be listed: ValueError: Protocol not known"):
        list_folder("azure-blob://container")


@pytest.mark.parametrize(
    ("url", "package", "extra"), [("s3://bucket/a.jpg", "s3fs", "s3"), ("gs://bucket/a.jpg", "gcsfs", "gcs")]
)
def test_a_store_whose_package_is_not_installed_is_answered_with_what_to_install(
    tmp_path, monkeypatch, url, package, extra
):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, extra.replace("gcs", "gs"), raising=False)
    told = rf'{url}: needs another package: pip install "instseg\[{extra}\]"'
    with pytest.raises(InstsegError, match=told):
        fetch_files([url], tmp_path, "Photos")
    with pytest.raises(InstsegError, match=told):
        list_folder(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://host/..",
        "https://host/a/../../../etc/passwd",
        "https://host/%2e%2e%2f%2e%2e%2fetc%2fpasswd.jpg",
        "https://host/",
        "https://host",
        "http://[host/a.jpg",
        "s3://bucket/..\\..\\a.jpg",
        "s3://bucket/C:a.jpg",
        "s3://bucket/\ud800\0\n.jpg",
        "s3://bucket/" + "long" * 99 + ".jpg",
        "s3://bucket/" + "長" * 99 + ".jpg",
        "",
    ],
)
def test_no_address_leads_out_of_the_folder(tmp_path, url):
    place = file_place(url)
    assert len(place.parts) == 2 and ".." not in place.parts and not set(place.name) & set('\\:*?"<>|\0\n')
    assert len(place.name.encode()) < 200
    (tmp_path / place.parts[0]).mkdir()
    (tmp_path / place).write_bytes(b"")


def test_addresses_that_differ_in_what_names_a_file_cannot_have_stay_apart():
    assert file_place("s3://bucket/a:b.jpg") != file_place("s3://bucket/a*b.jpg")
    assert file_place("https://host/photo?id=1") != file_place("https://host/photo?id=2")
    assert file_place("https://host/a.jpg?token=1") == file_place("https://host/a.jpg?token=2")


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_fetched(site, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(InstsegError, match=r"cache: cannot be written"):
        fetch_files(urls(site, "/a.jpg"), tmp_path / "cache", "Photos")
    assert site.paths == []


def test_a_disk_that_is_full_is_told(store, tmp_path, monkeypatch):
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    store.pipe({"/a.jpg": b"1"})
    monkeypatch.setattr(type(store), "get_file", full)
    with pytest.raises(InstsegError, match=r"a.jpg: the disk is full"):
        fetch_files(["memory://a.jpg"], tmp_path, "Photos")
