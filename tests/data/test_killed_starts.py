"""A start that is killed leaves nothing that is taken for whole; several at once, on one machine or many, end right."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from data.fetch.test_dataset_root import zipped
from factories import write_coco_folder
from fault_server import Site, serve
from sampled import first

from instseg.core import locks, new_folders
from instseg.data import cache, prepare, sources, steps
from instseg.data.fetch import archives, download, http_resume
from instseg.data.formats.auto import AutoReader
from instseg.data.prepared import PreparedDataset

Make = Callable[[], PreparedDataset]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_coco_folder(tmp_path_factory.mktemp("dataset") / "here")


@pytest.fixture(scope="module")
def site(dataset) -> Iterator[Site]:
    with serve() as site:
        site.files["/x.zip"] = zipped(dataset, dataset.parent / "x.zip").read_bytes()
        yield site


def prepared(root: object, cache_dir: Path) -> PreparedDataset:
    return sources.folder(name="x", reader=AutoReader, root=str(root), cache_dir=str(cache_dir))


def content(dataset: PreparedDataset) -> dict[str, list[tuple[str, bytes, list[list[float]]]]]:
    return {
        split: [(i.file_name(n), i.path(n).read_bytes(), i.ground_truth(n).boxes.tolist()) for n in range(len(i))]
        for split, i in dataset.indices.items()
    }


@pytest.fixture(scope="module")
def whole(dataset) -> object:
    return content(prepared(dataset, dataset.parent / "cache"))


def in_a_process(make: Make) -> int:
    """Start it in a process of its own and return the process's id; exit code 0 stands for a good end."""
    child = os.fork()
    if child == 0:
        try:
            make()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return child


def exit_code(child: int) -> int:
    """Wait for the end; negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(module: object, name: str, count: int, make: Make) -> int:
    """Start it in a process that is killed at the end of the ``count``-th call of a function."""
    left, original = [count], getattr(module, name)

    def function(*args, **options):
        result = original(*args, **options)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, function)
        return exit_code(in_a_process(make))


def scratch_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.endswith((".partial", ".part", ".json.part"))]


@pytest.mark.parametrize(
    ("module", "name", "count"),
    first(
        3,
        [
            (steps, "read", 1),
            (steps, "write_index", 1),
            (steps, "write_index", 2),
            (steps, "write_coco", 2),
            (cache, "write_findings", 1),
            (cache, "write_record", 2),
            (cache, "seal", 1),
            (new_folders, "sync_folder", 1),
            (prepare, "open_prepared", 1),
        ],
    ),
    ids=lambda value: getattr(value, "__name__", str(value)).rpartition(".")[2],
)
def test_a_start_that_is_killed_while_it_indexes_is_followed_by_a_whole_one(
    tmp_path, dataset, whole, module, name, count
):
    assert killed_at(module, name, count, lambda: prepared(dataset, tmp_path)) == -signal.SIGKILL
    assert content(prepared(dataset, tmp_path)) == whole
    assert not scratch_in(tmp_path)


@pytest.mark.parametrize(
    ("module", "name", "count"),
    first(
        3,
        [
            (http_resume, "write_record", 1),
            (http_resume, "read_chunk", 1),
            (http_resume, "sync_and_rename", 1),
            (download, "open_url", 1),
            (archives, "_check_stays_inside", 1),
            (archives.shutil, "copyfileobj", 3),
            (archives, "sync_and_rename", 4),
            (new_folders, "sync_folder", 1),
        ],
    ),
    ids=lambda value: getattr(value, "__name__", str(value)).rpartition(".")[2],
)
def test_a_start_that_is_killed_while_it_downloads_or_unpacks_is_followed_by_a_whole_one(
    tmp_path, site, whole, module, name, count
):
    root = f"{site.base_url}/x.zip"
    assert killed_at(module, name, count, lambda: prepared(root, tmp_path)) == -signal.SIGKILL
    assert content(prepared(root, tmp_path)) == whole
    assert not scratch_in(tmp_path)


@pytest.mark.parametrize("has_locks", [True, False], ids=["of one machine", "of machines without locks between them"])
def test_starts_at_the_same_time_share_one_cache(tmp_path, dataset, whole, monkeypatch, has_locks):
    if not has_locks:
        monkeypatch.setattr(locks, "_try_lock", lambda descriptor: None)
    archive = dataset.parent / "x.zip"
    zipped(dataset, archive)
    children = [in_a_process(lambda: prepared(archive, tmp_path)) for _ in range(3)]
    assert [exit_code(child) for child in children] == [0, 0, 0]
    assert content(prepared(archive, tmp_path)) == whole
    assert not scratch_in(tmp_path)
