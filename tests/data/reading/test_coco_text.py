"""Annotations that stay text until they are needed: the same as parsed at once, in every step of a preparation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from factories import SHARED, coco_annotation, coco_dict, coco_image, rectangle, uncompressed, write_json

from instseg.core.errors import InstsegError
from instseg.data.reading import coco_text
from instseg.data.reading.coco_text import LIGHT_KEYS, TEXT, read_coco_text, whole, write_coco
from instseg.data.reading.labels import Labels
from instseg.data.splits.merge import merge_labels
from instseg.data.splits.select import rename_categories

SQUARE = rectangle(2.1, 2, 9, 9.123456789012345)


def labels():
    """A polygon with keys that are its tool's own, and a crowd."""
    first = coco_annotation(1, 7, "dog", SQUARE, bbox=[2.1, 2, 6.9, 7.1], area=49, attributes={"Größe": "größer"})
    crowd = coco_annotation(2, 7, "car", uncompressed(np.eye(12, dtype=np.uint8)), iscrowd=1)
    return coco_dict([coco_image(7, "a.png", (12, 12))], [first, crowd])


def read(path: Path, content):
    write_json(path, content)
    return read_coco_text(path)


def test_an_annotation_is_its_ids_and_its_text_until_the_whole_is_asked_for(tmp_path):
    found = read(tmp_path / "a.json", labels())
    assert [set(entry) for entry in found["annotations"]] == [{*LIGHT_KEYS, TEXT}] * 2
    assert [whole(entry) for entry in found["annotations"]] == labels()["annotations"]
    assert {key: found[key] for key in ("images", "categories")} == {k: labels()[k] for k in ("images", "categories")}


def test_an_annotation_that_is_no_text_is_whole_already():
    entry = labels()["annotations"][0]
    assert whole(entry) is entry


def test_ids_that_were_changed_on_the_way_count_over_the_text(tmp_path):
    found = read(tmp_path / "a.json", labels())
    renamed = rename_categories({"train": found}, {"dog": "car"}, None)["train"]
    merged = merge_labels([Labels(renamed, tmp_path), Labels(renamed, tmp_path)]).coco
    dog = whole(merged["annotations"][2])
    assert (dog["id"], dog["image_id"], dog["category_id"]) == (3, 2, 1)
    assert dog["segmentation"] == labels()["annotations"][0]["segmentation"]


def test_what_is_written_is_what_was_read_with_the_changes(tmp_path):
    found = read(tmp_path / "a.json", labels())
    changed = [found["annotations"][0], {**found["annotations"][1], "image_id": 99}]
    write_coco(tmp_path / "b.json", {**found, "annotations": changed})
    expected = labels()
    expected["annotations"][1]["image_id"] = 99
    assert json.loads((tmp_path / "b.json").read_text()) == expected


def test_an_unchanged_annotation_is_written_word_for_word(tmp_path):
    words = '{"id": 1, "image_id": 7, "category_id": 1,\n "bbox": [1.50, 2e0, 3, 4]}'
    (tmp_path / "a.json").write_text(f'{{"images": [], "categories": [], "annotations": [{words}]}}')
    write_coco(tmp_path / "b.json", read_coco_text(tmp_path / "a.json"))
    assert words in (tmp_path / "b.json").read_text()


@pytest.mark.parametrize("annotations", [[], labels()["annotations"]], ids=["none", "parsed ones"])
def test_any_dictionary_is_written_as_json(tmp_path, annotations):
    content = {**labels(), "annotations": annotations}
    write_coco(tmp_path / "a.json", content)
    assert json.loads((tmp_path / "a.json").read_text()) == content


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"images": []}',
        b'{"annotations": [3]}',
        b'{"annotations": [{"area": NaN}]}',
        b'{"annotations": [{"name": "\xff"}]}',
        b'{"annotations": [{"area": 1e999}]}',
        b'\xef\xbb\xbf{"annotations": []}',
    ],
    ids=["cut short", "a list", "no annotations", "a number", "NaN", "no UTF-8", "infinite", "byte order mark"],
)
def test_what_is_unusual_is_left_to_the_parser_that_takes_more_or_says_what_is_wrong(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    assert read_coco_text(tmp_path / "a.json") is None


def test_a_file_that_would_not_fit_into_the_memory_is_refused(tmp_path, monkeypatch):
    write_json(tmp_path / "a.json", labels())
    size = (tmp_path / "a.json").stat().st_size
    monkeypatch.setattr("instseg.core.files.free_memory_bytes", lambda: coco_text.BYTES_IN_MEMORY_PER_BYTE * size - 1)
    with pytest.raises(InstsegError, match=r"a\.json: .* GB of json take about"):
        read_coco_text(tmp_path / "a.json")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared photos")
def test_real_labels_are_the_same_either_way():
    path = SHARED / "coco_tiny/annotations/instances_train2017.json"
    found = read_coco_text(path)
    assert {**found, "annotations": [whole(entry) for entry in found["annotations"]]} == json.loads(path.read_bytes())
