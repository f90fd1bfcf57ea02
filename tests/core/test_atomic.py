"""A file or folder is as before or whole, whatever happens in between."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from instseg.core import locks
from instseg.core.atomic import replacing, write_text_atomically
from instseg.core.locks import exclusive_lock
from instseg.core.new_folders import new_folder


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("sync", [False, True])
def test_a_file_keeps_its_old_content_until_the_new_one_is_whole(tmp_path: Path, sync: bool) -> None:
    path = tmp_path / "sub" / "a.txt"
    for text in ("old", "new"):
        with replacing(path, sync=sync) as scratch:
            scratch.write_text(text)
            assert text == "old" or path.read_text() == "old"
    assert contents(tmp_path) == {"sub/a.txt": "new"}


@pytest.mark.parametrize("failure", [OSError, KeyboardInterrupt])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(failure), replacing(tmp_path / "a.txt") as scratch:
        scratch.write_text("half of the n")
        raise failure
    assert contents(tmp_path) == {"a.txt": "old"}


def test_a_folder_takes_its_name_once_it_is_filled(tmp_path: Path) -> None:
    with new_folder(tmp_path / "cache" / "data") as scratch:
        (scratch / "a.txt").write_text("a")
        assert not (tmp_path / "cache" / "data").exists()
    assert contents(tmp_path) == {"cache/data/a.txt": "a"}


def test_a_folder_that_fails_or_comes_too_late_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "data") as scratch:
        (scratch / "a.txt").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="data"), new_folder(tmp_path / "data") as slower:
        (slower / "a.txt").write_text("slower")
        with new_folder(tmp_path / "data") as faster:
            (faster / "a.txt").write_text("faster")
    assert contents(tmp_path) == {"data/a.txt": "faster"}


def test_all_of_a_folder_is_on_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    with new_folder(tmp_path / "data") as scratch:
        (scratch / "sub").mkdir()
        (scratch / "sub" / "a.txt").write_text("a")
        assert not synced
    assert synced == {path.stat().st_ino for path in (tmp_path / "data", *(tmp_path / "data").rglob("*"))}


def test_the_next_folder_removes_what_killed_processes_have_left_and_nothing_of_living_ones(tmp_path: Path) -> None:
    killed = tmp_path / ".data.0123456789ab.partial"
    killed.mkdir()
    (killed / "half.txt").write_text("ha")
    with new_folder(tmp_path / "first") as living:
        assert not killed.exists()
        with new_folder(tmp_path / "second"):
            assert living.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


@pytest.mark.parametrize(("hours", "num_left"), [(0, 2), (1, 1), (25, 0)])
def test_locks_of_killed_processes_go_after_a_minute_and_files_after_a_day(
    tmp_path: Path, hours: int, num_left: int
) -> None:
    left = [tmp_path / ".a.json.123.part", tmp_path / ".data.0123456789ab.partial.lock"]
    for path in left:
        path.touch()
        os.utime(path, (time.time() - hours * 3600, time.time() - hours * 3600))
    with new_folder(tmp_path / "data"):
        assert [path for path in left if path.exists()] == left[:num_left]


def test_without_locks_only_what_has_not_changed_for_a_day_is_taken_for_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_try_lock", lambda descriptor: None)
    old, young = (tmp_path / f".data.{name}.partial" for name in ("old", "young"))
    for folder, age in ((old, 25 * 3600), (young, 3600)):
        folder.mkdir()
        (folder / "a.txt").write_text("a")
        for path in (folder / "a.txt", folder):
            os.utime(path, (time.time() - age, time.time() - age))
    with new_folder(tmp_path / "data"):
        assert not old.exists() and young.exists()


def test_a_text_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "sub" / "a.json", "ä")
    write_text_atomically(tmp_path / "sub" / "a.json", "b")
    assert [(path.name, path.read_text()) for path in (tmp_path / "sub").iterdir()] == [("a.json", "b")]


def test_a_second_holder_of_the_lock_waits_for_the_first(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with exclusive_lock(tmp_path / "lock"):
            order.append("second")

    with exclusive_lock(tmp_path / "lock"):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.15)
        order.append("first")
    waiting.join(timeout=60)
    assert order == ["first", "second"]
