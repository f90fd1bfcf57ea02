"""What readers share: json that cannot be read, names that climb out, splits by name, photos found by their names."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import write_picture

from instseg.core.errors import InstsegError
from instseg.core.files import read_json
from instseg.core.text import list_names
from instseg.data.reading.folders import ImageFinder, check_folder, split_named, split_of_folders, walk


def finder(root: Path, *names: str) -> ImageFinder:
    for name in names:
        write_picture(root / name, (4, 4))
    return ImageFinder(root)


# ---- json


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"a": 1} trailing'])
def test_what_is_no_json_is_an_error_that_names_the_file(tmp_path, content):
    (tmp_path / "labels.json").write_bytes(content)
    with pytest.raises(InstsegError, match=r"labels\.json: not a json file"):
        read_json(tmp_path / "labels.json")


def test_a_byte_order_mark_is_read_over(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}


def test_a_json_that_would_not_fit_into_the_memory_is_refused_with_the_sizes(tmp_path, monkeypatch):
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(2_000_000_000)  # a hole: takes no disk
    monkeypatch.setattr("instseg.core.files.free_memory_bytes", lambda: 8_000_000_000)
    with pytest.raises(InstsegError, match=r"huge\.json: 2\.0 GB of json take about 16 GB .* 8 GB are free"):
        read_json(path)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(InstsegError, match="no such file"):
        read_json(tmp_path / "none.json")


# ---- folders and names


def test_a_root_that_cannot_hold_labels_is_told_apart(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for name, message in [("none", "no such folder"), ("file", "expected a folder"), ("empty", "the folder is empty")]:
        with pytest.raises(InstsegError, match=message):
            check_folder(tmp_path / name)


def test_hidden_files_are_passed_over_and_links_are_followed_once(tmp_path):
    for name in ("b/x.txt", "a.txt", ".hidden/y.txt", "b/.z"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b/loop").symlink_to(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in walk(tmp_path)] == ["a.txt", "b/x.txt"]


@pytest.mark.parametrize(
    ("name", "split"),
    [("train2017", "train"), ("Valid", "val"), ("my-test_set", "test"), ("contest", None), ("training", "train")],
)
def test_a_split_is_a_word_of_the_name(name, split):
    assert split_named(name) == split


def test_the_innermost_folder_decides_the_split_and_the_file_does_not():
    root = Path("data")
    assert split_of_folders(root / "train/val/test_1.json", root) == "val"
    assert split_of_folders(root / "images/train_1.json", root) is None


def test_a_long_list_of_names_is_cut_and_counted():
    assert list_names(range(3)) == "0, 1, 2"
    assert list_names(range(10), limit=2) == "0, 1 and 8 more"
    assert list_names([]) == "nothing"


# ---- photos by name


def test_the_very_path_wins_from_the_root_or_from_the_label_file(tmp_path):
    found = finder(tmp_path, "a/1.jpg", "b/1.jpg", "1.jpg")
    assert found.find("b/1.jpg") == "b/1.jpg"
    assert found.find("1.jpg", near="a") == "1.jpg", "the path from the root comes first"
    assert found.find("../b/1.jpg", near="a") == "b/1.jpg"
    assert found.find("..\\b\\1.jpg", near="a") == "b/1.jpg", "as written on Windows"


def test_folders_of_another_machine_are_matched_from_their_end(tmp_path):
    found = finder(tmp_path, "day/1.jpg", "night/1.jpg")
    assert found.find("C:\\photos\\night\\1.jpg") == "night/1.jpg"
    assert found.find("/photos/anna/day/1.jpg") == "day/1.jpg"


def test_case_and_extension_may_differ(tmp_path):
    found = finder(tmp_path, "IMG_1.jpg")
    assert found.find("img_1.JPG") == "IMG_1.jpg"
    assert found.find("img_1.png") == "IMG_1.jpg"


def test_of_several_that_fit_equally_well_none_is_guessed(tmp_path):
    found = finder(tmp_path, "a/1.jpg", "b/1.jpg")
    assert found.find("c/1.jpg") is None
    assert found.find("c/1.jpg", near="b") == "b/1.jpg", "the one nearer to the label file"


def test_a_name_that_is_nowhere_or_climbs_out_finds_nothing(tmp_path):
    write_picture(tmp_path / "outside.jpg", (4, 4))
    found = finder(tmp_path / "root", "a.jpg")
    assert found.find("missing.jpg") is None
    assert found.find("../outside.jpg") is None
    assert found.find("") is None
