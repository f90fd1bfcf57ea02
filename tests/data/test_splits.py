"""Which images and categories are taken: by name and seed, never by the order in the json."""

from __future__ import annotations

import random

import pytest
from factories import coco_annotation, coco_dict, coco_image, rectangle
from hypothesis import given
from hypothesis import strategies as st

from instseg.data.splits import Selection, limit_images, select_categories, select_images, split_images
from instseg.errors import InstsegError

SQUARE = rectangle(2, 2, 9, 9)


def photos(num_images: int, num_occupied: int = 0):
    """The first ``num_occupied`` images have a car, the rest have nothing."""
    images = [coco_image(10 * i, f"photo_{i}.jpg") for i in range(num_images)]
    return coco_dict(images, [coco_annotation(i, 10 * i, "car", SQUARE) for i in range(num_occupied)])


def names(coco) -> set[str]:
    return {image["file_name"] for image in coco["images"]}


def test_annotations_go_with_their_categories_and_images_stay():
    coco = coco_dict(
        [coco_image(1, "a.jpg"), coco_image(2, "b.jpg")],
        [coco_annotation(1, 1, "car", SQUARE), coco_annotation(2, 2, "dog", SQUARE)],
    )
    dogs = select_categories(coco, ["dog"])
    assert [a["id"] for a in dogs["annotations"]] == [2]
    assert [c["name"] for c in dogs["categories"]] == ["dog"]
    assert names(dogs) == {"a.jpg", "b.jpg"}
    assert len(coco["annotations"]) == 2, "the argument is not changed"


def test_selected_images_bring_their_annotations():
    chosen = select_images(photos(4, 4), [30, 10])
    assert [image["id"] for image in chosen["images"]] == [10, 30]
    assert [a["image_id"] for a in chosen["annotations"]] == [10, 30]


def test_without_limits_everything_stays_in_its_order():
    coco = photos(5, 2)
    assert limit_images(coco, None, None, seed=0) is coco


def test_the_number_of_images_can_be_limited_and_the_seed_decides_which():
    first = limit_images(photos(50), 10, None, seed=0)
    assert len(first["images"]) == 10
    assert limit_images(photos(50), 10, None, seed=0) == first
    assert names(limit_images(photos(50), 10, None, seed=1)) != names(first)
    assert len(limit_images(photos(5), 10, None, seed=0)["images"]) == 5


def test_the_choice_does_not_depend_on_the_order_in_the_json():
    shuffled = photos(50, 20)
    random.Random(3).shuffle(shuffled["images"])
    assert names(limit_images(shuffled, 10, 0.5, seed=0)) == names(limit_images(photos(50, 20), 10, 0.5, seed=0))


def test_a_smaller_limit_takes_part_of_a_larger_one():
    assert names(limit_images(photos(50), 5, None, seed=0)) < names(limit_images(photos(50), 10, None, seed=0))


@pytest.mark.parametrize(("ratio", "num_empty"), [(0, 0), (0.25, 2), (1, 8), (100, 40)])
def test_empty_images_are_kept_in_a_ratio_to_the_others(ratio, num_empty):
    kept = limit_images(photos(48, num_occupied=8), None, ratio, seed=0)
    assert len(kept["images"]) == 8 + num_empty
    assert {f"photo_{i}.jpg" for i in range(8)} <= names(kept)


def test_an_image_with_nothing_but_a_crowd_counts_as_empty():
    coco = coco_dict(
        [coco_image(1, "a.jpg"), coco_image(2, "b.jpg")],
        [coco_annotation(1, 1, "car", SQUARE, iscrowd=1), coco_annotation(2, 2, "car", SQUARE)],
    )
    assert names(limit_images(coco, None, 0, seed=0)) == {"b.jpg"}


@given(
    st.integers(1, 60),
    st.dictionaries(st.sampled_from(["train", "val", "test"]), st.floats(0.01, 10), min_size=1),
    st.integers(0, 5),
)
def test_every_image_goes_to_exactly_one_part_and_no_part_is_empty(num_images, ratios, seed):
    if num_images < len(ratios):
        with pytest.raises(InstsegError, match="cannot be split"):
            split_images(photos(num_images), ratios, seed)
        return
    parts = split_images(photos(num_images, num_images), ratios, seed)
    ids = [image["id"] for part in parts.values() for image in part["images"]]
    assert sorted(ids) == [10 * i for i in range(num_images)]
    assert list(parts) == list(ratios)
    assert all(part["images"] for part in parts.values())
    assert sum(len(part["annotations"]) for part in parts.values()) == num_images


def test_parts_have_the_sizes_of_their_ratios():
    parts = split_images(photos(200), {"train": 0.7, "val": 0.15, "test": 0.15}, seed=0)
    assert {split: len(part["images"]) for split, part in parts.items()} == {"train": 140, "val": 30, "test": 30}


def test_the_same_seed_gives_the_same_parts_and_another_seed_others():
    ratios = {"train": 0.5, "val": 0.5}
    assert split_images(photos(30), ratios, 0) == split_images(photos(30), ratios, 0)
    assert names(split_images(photos(30), ratios, 0)["val"]) != names(split_images(photos(30), ratios, 1)["val"])


def test_a_few_more_images_leave_nearly_all_others_where_they_were():
    ratios = {"train": 0.8, "val": 0.2}
    before, after = (names(split_images(photos(n), ratios, 0)["val"]) for n in (200, 204))
    assert len(before & after) >= 36


def test_a_split_without_a_share_is_not_made():
    assert Selection(split_ratio={"train": 4, "val": 1, "test": 0}).ratios(["train", "val", "test"]) == {
        "train": 4,
        "val": 1,
    }
    assert set(Selection().ratios(["train", "val", "test"])) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_images": {"train": 0}}, "dataset.max_images.train=0: expected 1 or more"),
        ({"max_images": {"val": -3}}, "dataset.max_images.val=-3"),
        ({"empty_ratio": -0.5}, "dataset.empty_ratio=-0.5"),
        ({"split_ratio": {"train": -1}}, "dataset.split_ratio.train=-1"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_the_name_of_their_key(options, told):
    with pytest.raises(InstsegError, match=told):
        Selection(**options)


def test_train_and_val_cannot_do_without_a_share():
    with pytest.raises(InstsegError, match=r"dataset.split_ratio.val must be more than 0"):
        Selection(split_ratio={"train": 1}).ratios(["train", "val", "test"])
