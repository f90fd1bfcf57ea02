"""A disk that is full or read-only, and a file in the place of a folder: one line that names it, and the way out."""

from __future__ import annotations

import errno
import io
import os
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from data.fetch.test_dataset_root import zipped
from factories import write_coco_folder
from fault_server import serve

from instseg.core.errors import InstsegError
from instseg.data import cache as cache_module
from instseg.data import sources
from instseg.data.formats.auto import AutoReader

Make = Callable[[], object]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_coco_folder(tmp_path_factory.mktemp("dataset") / "here")


@pytest.fixture(scope="module")
def archive(dataset) -> Path:
    return zipped(dataset, dataset.parent / "x.zip")


@pytest.fixture(scope="module")
def address(archive) -> Iterator[str]:
    with serve() as site:
        site.files["/x.zip"] = archive.read_bytes()
        yield f"{site.base_url}/x.zip"


@pytest.fixture(params=["a folder", "an archive", "a download", "drawn"])
def make(request, dataset, archive, address, tmp_path) -> Make:
    """Prepare a dataset in ``tmp_path``, in each of the ways that write there."""

    def of_root(root: object) -> object:
        return sources.folder(name="x", reader=AutoReader, root=str(root), cache_dir=str(tmp_path))

    few = {"train": 2, "val": 1, "test": 1}
    return {
        "a folder": lambda: of_root(dataset),
        "an archive": lambda: of_root(archive),
        "a download": lambda: of_root(address),
        "drawn": lambda: sources.shapes(name="shapes", cache_dir=str(tmp_path), num_images=few),
    }[request.param]


@contextmanager
def files_of_at_most(num_bytes: int):
    """As on a disk with a quota: a larger file cannot be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith((".partial", ".part"))]


@pytest.mark.parametrize("num_bytes", [100, 1000])
def test_a_file_that_cannot_grow_is_one_line_and_the_next_start_is_whole(tmp_path, make, num_bytes):
    with pytest.raises(InstsegError, match=f"{tmp_path}.*File too large") as refused, files_of_at_most(num_bytes):
        make()
    assert "\n" not in str(refused.value)
    make()
    assert not left_in(tmp_path)


FAULTS = {
    errno.ENOSPC: r"the disk is full.*\. Free some space",
    errno.EDQUOT: r"the disk is full.*\. Free some space",
    errno.EROFS: "cannot be written to: Read-only file system",
    errno.EIO: "Input/output error",
}


@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
def test_a_fault_of_the_disk_while_indexing_is_one_line(tmp_path, dataset, monkeypatch, number):
    def fails(folder: Path, seal_file: Path) -> None:
        raise OSError(number, os.strerror(number), str(folder))

    root = {"root": str(dataset), "cache_dir": str(tmp_path)}
    with monkeypatch.context() as patch, pytest.raises(InstsegError, match=FAULTS[number]) as refused:
        patch.setattr(cache_module, "seal", fails)
        sources.folder(name="x", reader=AutoReader, **root)
    assert str(refused.value).startswith(f"cache_dir={tmp_path}: ") and "\n" not in str(refused.value)
    assert not left_in(tmp_path)
    assert sources.folder(name="x", reader=AutoReader, **root)


def failing_after(num_bytes: int, number: int) -> type[io.FileIO]:
    """A disk that takes so many bytes of a file, and answers more as the system does."""

    class Failing(io.FileIO):
        def write(self, data: bytes) -> int:
            if self.tell() + len(data) > num_bytes:
                raise OSError(number, os.strerror(number))
            return super().write(data)

    return Failing


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize("source", ["archive", "address"])
def test_a_fault_of_the_disk_while_unzipping_or_downloading_is_one_line(tmp_path, request, monkeypatch, source, number):
    root = {"root": str(request.getfixturevalue(source)), "cache_dir": str(tmp_path)}
    failing, opened = failing_after(100, number), Path.open

    def on_that_disk(path: Path, mode: str = "r", *rest: object, **options: object) -> IO[Any]:
        is_data = path.suffix == ".part" and "b" in mode and "r" not in mode
        return failing(path, mode.replace("b", "")) if is_data else opened(path, mode, *rest, **options)

    with monkeypatch.context() as patch, pytest.raises(InstsegError, match=FAULTS[number]) as refused:
        patch.setattr(Path, "open", on_that_disk)
        sources.folder(name="x", reader=AutoReader, **root)
    assert str(tmp_path) in str(refused.value) and "\n" not in str(refused.value)
    assert "dataset.root" not in str(refused.value)
    assert sources.folder(name="x", reader=AutoReader, **root)
    assert not left_in(tmp_path)


@pytest.mark.skipif(os.name == "nt" or not shutil.which("unshare"), reason="needs namespaces of Linux")
@pytest.mark.parametrize(("mount", "says"), [("size=4k", "the disk is full"), ("ro", "Read-only file system")])
def test_a_real_disk_that_is_full_or_read_only_is_one_line(tmp_path, archive, mount, says):
    disk = tmp_path / "disk"
    disk.mkdir()
    code = (
        "from instseg.data import sources; from instseg.data.formats.auto import AutoReader; "
        f"sources.folder(name='x', reader=AutoReader, root={str(archive)!r}, cache_dir={str(disk)!r})"
    )
    script = f"mount -t tmpfs -o {mount} tmpfs {disk} || exit 77; exec {sys.executable} -c {shlex.quote(code)}"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip("users may not mount here")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"instseg.core.errors.InstsegError: cache_dir={disk}: ") and says in last


def test_a_file_in_the_place_of_a_folder_is_named_or_replaced(tmp_path, make):
    make()
    folders = sorted(
        path for path in tmp_path.rglob("*") if path.is_dir() and path.parent.name in ("", "index", "remote")
    )
    for folder in [*(path for path in tmp_path.iterdir() if path.is_dir()), *folders]:
        kept = folder.rename(tmp_path.parent / "kept")
        folder.write_text("not a folder")
        try:
            make()
        except InstsegError as error:
            assert str(error) == (
                f"cache_dir={tmp_path}: expected a folder, found the file {folder}. Remove it, or choose another folder"
            )
            folder.unlink()
            kept.rename(folder)
        else:
            shutil.rmtree(kept)


def test_a_folder_of_labels_that_cannot_be_read_is_no_fault_of_the_cache(tmp_path, dataset, monkeypatch):
    def fails(self: AutoReader) -> None:
        raise OSError(errno.EIO, "Input/output error", f"{dataset}/annotations")

    monkeypatch.setattr(AutoReader, "label_files", fails)
    with pytest.raises(
        InstsegError, match=f"^dataset.root={dataset}: cannot be read: Input/output error: {dataset}/ann"
    ):
        sources.folder(name="x", reader=AutoReader, root=str(dataset), cache_dir=str(tmp_path))
