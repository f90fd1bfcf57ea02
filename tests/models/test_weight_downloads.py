"""The cache of downloaded weights: on bad disks, after kills, and of files that are not what their names say."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fault_server import Site, serve
from tqdm import tqdm

from instseg.core import atomic
from instseg.core.errors import InstsegError
from instseg.models import weight_names
from instseg.models.weight_downloads import WeightsUnavailableError, download
from instseg.models.weight_files import load_torch

NAME = "r18-20240131.pth"


def weights_file() -> bytes:
    file = io.BytesIO()
    torch.save({"weight": torch.arange(1000)}, file)
    return file.getvalue()


WEIGHTS = weights_file()
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as site:
        site.files[f"/{NAME}"] = WEIGHTS
        yield site


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the cache of torch.hub that is not there yet."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "home"


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")]


@pytest.mark.parametrize(
    ("place", "is_published"),
    [("", True), ("", False), ("hub", True), ("hub/checkpoints", True), ("hub/checkpoints/by_address", False)],
)
def test_a_file_in_the_place_of_a_folder_of_the_cache_is_named(home, place, is_published):
    (home / place).parent.mkdir(parents=True, exist_ok=True)
    (home / place).write_text("not a folder")
    with pytest.raises(WeightsUnavailableError, match=f"expected a folder, found the file {home / place}. Remove it"):
        download(f"http://127.0.0.1:9/{NAME}", is_published)


def test_a_file_that_cannot_grow_is_one_error_and_leaves_nothing(site, home):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(WeightsUnavailableError, match="cannot be written to: File too large") as refused:
            download(f"{site.base_url}/{NAME}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(home) in str(refused.value) and "TORCH_HOME" in str(refused.value)
    assert not files_in(home)
    assert download(f"{site.base_url}/{NAME}").read_bytes() == WEIGHTS


FAULTS = {errno.ENOSPC: "the disk is full", errno.EROFS: "Read-only file system", errno.EACCES: "Permission denied"}


@pytest.mark.parametrize("step", ["mkdir", "open", "rename"])
@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
def test_a_fault_of_the_disk_is_no_fault_of_the_network(site, home, monkeypatch, number, step):
    def fails(*args: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    owner, name = {
        "mkdir": (Path, "mkdir"),
        "open": (torch.hub, "download_url_to_file"),
        "rename": (atomic, "sync_and_rename"),
    }[step]
    monkeypatch.setattr(owner, name, fails)
    with pytest.raises(WeightsUnavailableError, match=FAULTS[number]) as refused:
        download(f"{site.base_url}/{NAME}")
    assert "could not be downloaded" not in str(refused.value)


def test_a_download_that_is_killed_is_followed_by_a_whole_one_and_leaves_nothing(site, home):
    site.faults[f"/{NAME}"] = ["stall"]
    child = os.fork()
    if child == 0:
        tqdm.set_lock(threading.RLock())  # who is killed while he holds the one of all forks stops this process, too
        download(f"{site.base_url}/{NAME}")
        os._exit(0)
    deadline = time.monotonic() + 30
    while not site.requests:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert any(name.endswith(".partial") for name in files_in(home))
    assert download(f"{site.base_url}/{NAME}").read_bytes() == WEIGHTS
    assert files_in(home) == [NAME]


def test_the_bytes_are_on_the_disk_before_the_file_has_its_name(site, home, monkeypatch):
    names = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: names.append("flushed"))
    monkeypatch.setattr(Path, "replace", lambda self, target: names.append("renamed") or self.rename(target))
    download(f"{site.base_url}/{NAME}")
    assert names == ["flushed", "renamed"]


@pytest.mark.parametrize("digits", [DIGEST[:8], DIGEST])
def test_a_typed_address_whose_name_bears_another_digest_is_refused_and_not_kept(site, home, digits):
    name = f"mine-{digits}.pth"
    site.files[f"/{name}"] = WEIGHTS
    assert download(f"{site.base_url}/{name}").read_bytes() == WEIGHTS
    site.files[f"/other/{name}"] = WEIGHTS + b"more"
    with pytest.raises(WeightsUnavailableError, match=f"(?s)begins with {digits}.*Ways out: run again") as refused:
        download(f"{site.base_url}/other/{name}")
    assert "give its path" in str(refused.value) and files_in(home) == [name]


def test_digits_that_may_be_a_date_are_a_digest_only_of_a_published_file(site):
    assert download(f"{site.base_url}/{NAME}").is_file()
    with pytest.raises(WeightsUnavailableError, match="begins with 20240131"):
        download(f"{site.base_url}/{NAME}", is_published=True)


def test_a_kept_file_that_has_changed_since_is_refused_with_its_place(site):
    name = f"mine-{DIGEST[:8]}.pth"
    site.files[f"/{name}"] = WEIGHTS
    path = download(f"{site.base_url}/{name}")
    path.write_bytes(WEIGHTS[:100])
    with pytest.raises(WeightsUnavailableError, match=f"delete {path} and run again to download it"):
        download(f"{site.base_url}/{name}")


def test_a_file_that_cannot_be_read_is_one_error(tmp_path, monkeypatch):
    with pytest.raises(WeightsUnavailableError, match="cannot be read: Is a directory"):
        load_torch(tmp_path, None)

    def fails(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "mine.pth").write_bytes(WEIGHTS)
    monkeypatch.setattr(weight_names, "foreign_kind", fails)
    with pytest.raises(InstsegError, match=r"mine\.pth: cannot be read: Permission denied$"):
        weight_names.check_weights(str(tmp_path / "mine.pth"), "resnet18", "v1")
