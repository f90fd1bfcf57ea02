"""Which images and categories are taken: by name and seed, never by the order in the json."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from factories import CATEGORY_IDS, coco_annotation, coco_dict, coco_image, rectangle, write_json
from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.core.errors import InstsegError
from instseg.data.splits.name_groups import group_names
from instseg.data.splits.ratio_and_folds import fold_images, split_images
from instseg.data.splits.select import limit_images, rename_categories, select_categories, select_images
from instseg.data.splits.selection import Selection
from instseg.data.splits.splits_file import apply_splits_file

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


@settings(deadline=None)
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


def test_parts_have_the_categories_in_their_ratios_and_crowds_count_for_nothing():
    images = [coco_image(i, f"{i}.jpg") for i in range(100)]
    has = ["car"] * 50 + ["dog"] * 40 + ["cake"] * 10
    annotations = [coco_annotation(i, i, category, SQUARE) for i, category in enumerate(has)]
    crowds = [coco_annotation(100 + i, i, "cake", SQUARE, iscrowd=1) for i in range(50)]
    parts = split_images(coco_dict(images, annotations + crowds), {"train": 0.8, "val": 0.2}, seed=0)
    counts = Counter(a["category_id"] for a in parts["val"]["annotations"] if not a["iscrowd"])
    assert counts == {CATEGORY_IDS["car"]: 10, CATEGORY_IDS["dog"]: 8, CATEGORY_IDS["cake"]: 2}


def test_the_parts_do_not_depend_on_the_order_in_the_json():
    shuffled = photos(50, 20)
    random.Random(3).shuffle(shuffled["images"])
    groups = {f"photo_{i}.jpg": str(i // 4) for i in range(40)}
    ratios = {"train": 0.8, "val": 0.2}
    one, other = (split_images(coco, ratios, 0, groups) for coco in (shuffled, photos(50, 20)))
    assert names(one["val"]) == names(other["val"])


def test_groups_stay_together_and_images_without_a_group_are_alone():
    groups = {f"photo_{i}.jpg": "film" for i in range(6)}
    for seed in range(10):
        parts = split_images(photos(20), {"train": 0.5, "val": 0.5}, seed, groups)
        assert names(parts["train"]) & groups.keys() in (set(), groups.keys())
        assert len(parts["train"]["images"]) == len(parts["val"]["images"]) == 10
    with pytest.raises(InstsegError, match=r"6 images in 1 group cannot be split into 2 parts \(train, val\)"):
        split_images(photos(6), {"train": 0.5, "val": 0.5}, 0, groups)


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(0, 40), st.integers(0, 3), st.lists(st.integers(0, 9), max_size=40))
def test_the_folds_together_are_all_images_once_and_no_group_is_divided(folds, num_images, seed, numbers):
    coco = photos(num_images, num_images // 2)
    groups = {f"photo_{i}.jpg": str(number) for i, number in enumerate(numbers[:num_images])}
    if len(set(groups.values())) + num_images - len(groups) < folds:
        with pytest.raises(InstsegError, match=f"cannot be split into {folds} parts"):
            fold_images(coco, folds, 0, seed, groups)
        return
    seen: list[str] = []
    for fold in range(folds):
        parts = fold_images(coco, folds, fold, seed, groups)
        val, train = names(parts["val"]), names(parts["train"])
        assert not val & train
        assert val | train == names(coco)
        assert val
        assert not {groups[name] for name in val & groups.keys()} & {groups[name] for name in train & groups.keys()}
        seen += val
    assert sorted(seen) == sorted(names(coco))


def test_a_fold_that_is_not_there_is_refused():
    with pytest.raises(InstsegError, match=r"dataset.fold=5: expected 0 to 4"):
        fold_images(photos(20), 5, 5, 0)
    with pytest.raises(InstsegError, match=r"dataset.folds=1: expected 2 or more"):
        fold_images(photos(20), 1, 0, 0)


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"(.*)_\d+", {"day/film_1.jpg": "day/film", "day/film_2.jpg": "day/film", "night/film_1.jpg": "night/film"}),
        (
            r"([^/]+)_(\d)",
            {"day/film_1.jpg": "film\x001", "day/film_2.jpg": "film\x002", "night/film_1.jpg": "film\x001"},
        ),
        (r"^day", {"day/film_1.jpg": "day", "day/film_2.jpg": "day"}),
        (r"(day)?/.*1", {"day/film_1.jpg": "day", "night/film_1.jpg": ""}),
    ],
)
def test_a_pattern_names_the_group_by_what_is_in_its_parentheses(pattern, groups):
    assert group_names(["day/film_1.jpg", "day/film_2.jpg", "night/film_1.jpg", "other.jpg"], pattern) == groups


def three_categories():
    images = [coco_image(i, f"{i}.jpg") for i in range(3)]
    return coco_dict(images, [coco_annotation(i, i, name, SQUARE) for i, name in enumerate(CATEGORY_IDS)])


def categories_of_images(coco) -> list[str]:
    has = {category["id"]: category["name"] for category in coco["categories"]}
    return [has[a["category_id"]] for a in coco["annotations"]]


def test_two_categories_renamed_to_one_are_merged_and_dropped_ones_leave_their_images():
    before = three_categories()
    after = rename_categories({"train": before}, {"dog": "thing", "cake": "thing"}, ["car"])["train"]
    assert after["categories"] == [{"id": CATEGORY_IDS["dog"], "name": "thing"}]
    assert categories_of_images(after) == ["thing", "thing"]
    assert len(after["images"]) == 3
    assert categories_of_images(before) == ["car", "dog", "cake"], "the argument is not changed"


def test_a_category_can_be_renamed_to_one_that_is_there_and_two_can_swap():
    merged = rename_categories({"train": three_categories()}, {"cake": "car"}, None)["train"]
    assert [category["name"] for category in merged["categories"]] == ["car", "dog"]
    assert categories_of_images(merged) == ["car", "dog", "car"]
    swapped = rename_categories({"train": three_categories()}, {"dog": "car", "car": "dog"}, None)["train"]
    assert categories_of_images(swapped) == ["dog", "car", "cake"]


def test_a_name_that_no_split_has_is_refused_with_the_nearest_and_one_split_is_enough():
    val = coco_dict([], [], {"tree": 7})
    splits = {"train": three_categories(), "val": val}
    assert rename_categories(splits, {"tree": "plant"}, ["dog"])["val"]["categories"] == [{"id": 7, "name": "plant"}]
    with pytest.raises(
        InstsegError, match=r"dataset.rename: .* no category 'cars'. Did you mean 'car'\? They have car, d"
    ):
        rename_categories(splits, {"cars": "x"}, None)
    with pytest.raises(
        InstsegError, match=r"dataset.drop: the labels have no category 'zzz'. They have car, dog, cake, t"
    ):
        rename_categories(splits, None, ["zzz"])


def splits_file(tmp_path, **lists):
    return write_json(tmp_path / "splits.json", {s: [f"photo_{i}.jpg" for i in which] for s, which in lists.items()})


def test_a_split_is_made_again_as_it_was_written(tmp_path):
    path = splits_file(tmp_path, train=[0, 3], val=[1], test=[2, 9], unused=[4])
    parts, notes = apply_splits_file(photos(5, 5), path)
    assert {split: sorted(names(part)) for split, part in parts.items()} == {
        "train": ["photo_0.jpg", "photo_3.jpg"],
        "val": ["photo_1.jpg"],
        "test": ["photo_2.jpg"],
    }
    assert notes == [
        "Listed as unused and left out: 1 image.",
        "Listed, but not in the labels: 1 image (photo_9.jpg).",
    ]


def test_new_images_stop_a_written_split_unless_it_leaves_train_open(tmp_path):
    with pytest.raises(
        InstsegError, match=r"it does not list 2 images of the labels: photo_2.jpg, photo_3.jpg.*'unused'"
    ):
        apply_splits_file(photos(4), splits_file(tmp_path, train=[0], val=[1]))
    parts, notes = apply_splits_file(photos(4), splits_file(tmp_path, val=[1]))
    assert names(parts["train"]) == {"photo_0.jpg", "photo_2.jpg", "photo_3.jpg"}
    assert notes == ["Not listed, and so in train: 3 images."]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (["photo_0.jpg"], "expected `object`, found `array`; a splits file has lists of file names as train, val, "),
        ({"training": []}, "splits.json: field training: expected no such field, found one; a splits file has"),
        ({"val": "photo_0.jpg"}, r"field val: expected `array \| null`, found `str`"),
        ({"val": [1]}, r"field val\[0\]: expected `str`, found `int`"),
        ({"train": ["photo_0.jpg"], "val": ["photo_0.jpg"]}, "photo_0.jpg is listed as train and as val"),
        ({"val": ["other.jpg"]}, r"of 1 image in the labels, none is in val"),
    ],
)
def test_a_file_that_is_no_splits_file_is_refused(tmp_path, content, told):
    with pytest.raises(InstsegError, match=told):
        apply_splits_file(photos(1), write_json(tmp_path / "splits.json", content))


def test_the_splits_file_belongs_to_what_a_selection_depends_on(tmp_path):
    path = splits_file(tmp_path, val=[0])
    assert Selection(splits_file=str(path)).files() == (path,)
    assert Selection().files() == ()
    with pytest.raises(InstsegError, match=r"dataset.splits_file: no such file: .*gone.json"):
        Selection(splits_file=str(tmp_path / "gone.json")).files()


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
        ({"folds": 1}, "dataset.folds=1: expected 2 or more"),
        ({"folds": 5, "fold": 5}, "dataset.fold=5: expected 0 to 4"),
        ({"folds": 5, "fold": -1}, "dataset.fold=-1: expected 0 to 4"),
        ({"fold": 2}, "dataset.fold=2 needs dataset.folds"),
        ({"folds": 5, "splits_file": "splits.json"}, "dataset.folds and dataset.splits_file"),
        ({"rename": {"car": ""}}, r"dataset.rename.car: expected a name; dataset.drop=\[car\]"),
        ({"rename": {"car": "auto"}, "drop": ("car",)}, "'car' is in dataset.rename and in dataset.drop"),
        ({"group_by": "(film"}, r"dataset.group_by=\(film: no regular expression"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_the_name_of_their_key(options, told):
    with pytest.raises(InstsegError, match=told):
        Selection(**options)


def test_train_and_val_cannot_do_without_a_share():
    with pytest.raises(InstsegError, match=r"dataset.split_ratio.val must be more than 0"):
        Selection(split_ratio={"train": 1}).ratios(["train", "val", "test"])
