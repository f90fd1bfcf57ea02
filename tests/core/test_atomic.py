"""A file or folder is as before or whole, whatever happens in between."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from instseg.core.atomic import new_folder, replacing, write_text_atomically
from instseg.core.locks import exclusive_lock


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
    waiting.join(timeout=5)
    assert order == ["first", "second"]
