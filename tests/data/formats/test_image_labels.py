"""Labels read in threads come out in order, by split; large masks take turns; a sample shows a folder's formats."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from factories import drawn, rectangle

from instseg.core.errors import InstsegError
from instseg.core.files import read_lines
from instseg.core.masks import bitmask_to_rle
from instseg.data.formats.image_labels import LARGE_PIXELS, ImageLabels, labels_of, read_in_threads, taking_turns
from instseg.data.reading.findings import Findings
from instseg.data.reading.folders import sample_files


def test_results_are_in_the_order_of_the_items_and_in_their_splits(tmp_path):
    def read(number: int) -> ImageLabels:
        time.sleep(0.002 * (number % 3))
        labels = ImageLabels(f"{number}.jpg", "val" if number % 2 else "train", (2, 3))
        labels.add(
            "car", [bitmask_to_rle(drawn("##.", "...")), [rectangle(0, 0, 1, 1)], np.array([0.0, 0, 2, 1])][number % 3]
        )
        if number == 4:
            labels.leave_out("image_unlabelled", "4.jpg")
        return labels

    findings: defaultdict[str, Findings] = defaultdict(Findings)
    labels = labels_of(read_in_threads(read, range(40), findings), tmp_path)
    names = {
        split: [int(Path(image["file_name"]).stem) for image in part.coco["images"]] for split, part in labels.items()
    }
    assert names == {"train": [n for n in range(0, 40, 2) if n != 4], "val": list(range(1, 40, 2))}
    assert dict(findings["train"].names) == {"image_unlabelled": ["4.jpg"]}
    polygons, bitmap, box = labels["val"].coco["annotations"][:3]
    assert polygons["segmentation"] == [[0, 0, 1, 0, 1, 1, 0, 1]]
    assert bitmap["segmentation"]["size"] == [2, 3]
    assert (box["segmentation"], box["bbox"]) == ([], [0, 0, 2, 1])
    assert labels["val"].coco["categories"] == labels["train"].coco["categories"] == [{"id": 1, "name": "car"}]


def test_masks_of_large_images_are_in_memory_one_after_the_other():
    inside, most = [], []

    def read(number: int) -> ImageLabels:
        with taking_turns((LARGE_PIXELS, 2)):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()
        return ImageLabels(f"{number}.jpg")

    read_in_threads(read, range(12), defaultdict(Findings))
    assert (max(most), len(most)) == (1, 12)


def test_masks_of_small_images_are_read_at_the_same_time():
    meeting = threading.Barrier(2, timeout=120)

    def read(number: int) -> ImageLabels:
        with taking_turns((480, 640)):
            meeting.wait()
        return ImageLabels(f"{number}.jpg")

    assert len(read_in_threads(read, range(10), defaultdict(Findings))["all"].images) == 10


def test_a_sample_has_some_files_of_each_kind_from_each_folder(tmp_path):
    for folder in ("a", "b/c"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(30):
            (tmp_path / folder / f"{number:02}.jpg").touch()
            (tmp_path / folder / f"{number:02}.XML").touch()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/x.jpg").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in sample_files(tmp_path, per_folder=2)]
    assert sorted(found) == [
        f"{folder}/{name}" for folder in ("a", "b/c") for name in ("00.XML", "00.jpg", "01.XML", "01.jpg")
    ]
    assert len(sample_files(tmp_path, max_folders=2)) == 40  # the root and a
    assert sample_files(tmp_path / "a/00.jpg") == sample_files(tmp_path / "none") == []


def test_lines_of_a_text_that_is_not_quite_utf_8(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone \r\n\r\n  tw\xff\n")
    assert read_lines(tmp_path / "a.txt") == ["one", "tw\ufffd"]
    with pytest.raises(InstsegError, match=r"b\.txt: cannot be read"):
        read_lines(tmp_path / "b.txt")
