"""Several sets of labels as one: where the photos are, which ids and categories they get."""

from __future__ import annotations

from pathlib import Path

from factories import coco_annotation, coco_dict, coco_image, rectangle

from instseg.data.reading.labels import Labels
from instseg.data.splits.merge import merge_labels, named_source

SQUARE = rectangle(2, 2, 9, 9)


def labels(root: Path, categories: dict[str, int], *file_names: str) -> Labels:
    """Each photo has one instance of each category."""
    images = [coco_image(i, name) for i, name in enumerate(file_names)]
    pairs = [(image["id"], category_id) for image in images for category_id in categories.values()]
    annotations = [coco_annotation(n, image_id, category_id, SQUARE) for n, (image_id, category_id) in enumerate(pairs)]
    return Labels(coco_dict(images, annotations, categories), root)


def instances(merged: Labels) -> set[tuple[str, str]]:
    """File name and category name of each annotation."""
    files = {image["id"]: image["file_name"] for image in merged.coco["images"]}
    names = {category["id"]: category["name"] for category in merged.coco["categories"]}
    return {(files[a["image_id"]], names[a["category_id"]]) for a in merged.coco["annotations"]}


def test_one_set_stays_as_it_is(tmp_path):
    only = labels(tmp_path, {"car": 3}, "a.jpg")
    assert merge_labels([only]) is only


def test_file_names_start_from_the_folder_that_all_have_in_common(tmp_path):
    merged = merge_labels([labels(tmp_path / "a/x", {"car": 3}, "1.jpg"), labels(tmp_path / "b", {"car": 3}, "1.jpg")])
    assert merged.image_root == tmp_path
    assert [image["file_name"] for image in merged.coco["images"]] == ["a/x/1.jpg", "b/1.jpg"]


def test_categories_are_joined_by_name_whatever_their_ids(tmp_path):
    merged = merge_labels(
        [labels(tmp_path, {"car": 3, "dog": 4}, "1.jpg"), labels(tmp_path, {"dog": 3, "cat": 1}, "2.jpg")]
    )
    assert [category["name"] for category in merged.coco["categories"]] == ["car", "dog", "cat"]
    assert instances(merged) == {("1.jpg", "car"), ("1.jpg", "dog"), ("2.jpg", "dog"), ("2.jpg", "cat")}


def test_ids_are_unique_in_the_whole(tmp_path):
    merged = merge_labels([labels(tmp_path, {"car": 1}, "1.jpg", "2.jpg"), labels(tmp_path, {"car": 1}, "3.jpg")])
    for section in ("images", "annotations"):
        ids = [entry["id"] for entry in merged.coco[section]]
        assert ids == [1, 2, 3]


def test_every_image_says_which_source_it_came_with(tmp_path):
    coco = named_source(labels(tmp_path, {"car": 1}, "1.jpg", "2.jpg").coco, "phone")
    assert {image["source"] for image in coco["images"]} == {"phone"}
