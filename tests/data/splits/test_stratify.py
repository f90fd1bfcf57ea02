"""Every part of a split has the same mix of categories, as near as whole images and whole groups allow."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.core.errors import InstsegError
from instseg.data.splits.stratify import part_sizes, stratify

RATIOS = {"train": 0.7, "val": 0.15, "test": 0.15}


def divided(labels, ratios=RATIOS, groups=None, order=None) -> list[str]:
    """Each letter is a category: ``"ac"`` is an image with an a and a c, ``""`` one without instances."""
    return stratify(labels, ratios, groups or range(len(labels)), order or range(len(labels)))


def count(labels, parts, category) -> Counter[str]:
    return Counter(part for names, part in zip(labels, parts, strict=True) if category in names)


def many(num_images: int, num_categories: int, seed: int = 0) -> list[set[str]]:
    """About three categories an image, the most frequent hundreds of times as frequent as the rarest; a tenth empty."""
    rng = np.random.default_rng(seed)
    chances = np.arange(1, num_categories + 1) ** -1.2
    drawn = rng.choice(num_categories, size=(num_images, 3), p=chances / chances.sum())
    return [set() if rng.random() < 0.1 else {str(category) for category in row} for row in drawn]


def test_a_category_is_divided_by_the_ratios_though_it_is_a_tenth_of_the_images():
    labels = ["a"] * 180 + ["b"] * 20
    parts = divided(labels)
    assert count(labels, parts, "a") == {"train": 126, "val": 27, "test": 27}
    assert count(labels, parts, "b") == {"train": 14, "val": 3, "test": 3}


def test_images_without_instances_are_divided_like_a_category():
    labels = ["a"] * 60 + [""] * 40
    parts = divided(labels, {"train": 0.8, "val": 0.2})
    assert Counter(parts[60:]) == {"train": 32, "val": 8}


def test_images_with_several_categories_count_for_each_of_them():
    labels = ["ab"] * 20 + ["a"] * 40 + ["bc"] * 10 + ["c"] * 30
    parts = divided(labels, {"train": 0.8, "val": 0.2})
    assert [count(labels, parts, category)["val"] for category in "abc"] == [12, 6, 8]


def test_of_a_rare_category_each_part_gets_one_and_what_is_left_goes_by_the_ratios():
    labels = ["a"] * 94 + ["b"] * 6
    assert count(labels, divided(labels), "b") == {"train": 4, "val": 1, "test": 1}


def test_with_too_few_images_of_a_category_training_comes_first():
    labels = ["a"] * 98 + ["b"] * 2
    assert count(labels, divided(labels), "b") == {"train": 1, "val": 1}
    labels = ["a"] * 99 + ["b"]
    assert count(labels, divided(labels), "b") == {"train": 1}


def test_many_rare_categories_do_not_push_the_frequent_one_out_of_a_part():
    labels = [f"{chr(200 + i // 3)}" for i in range(120)] + ["a"] * 120
    parts = divided(labels)
    assert Counter(parts) == {"train": 168, "val": 36, "test": 36}
    assert min(count(labels, parts, "a").values()) >= 5


def test_groups_are_never_divided_and_large_ones_are_made_up_for():
    groups = ["film"] * 40 + ["burst"] * 12 + list(range(48))
    parts = divided(["a"] * 100, RATIOS, groups)
    assert len(set(parts[:40])) == len(set(parts[40:52])) == 1
    assert Counter(parts) == {"train": 70, "val": 15, "test": 15}


def test_a_group_too_large_for_its_part_goes_where_most_room_is_and_no_part_stays_empty():
    parts = divided(["a"] * 100, RATIOS, ["film"] * 96 + ["b", "b", "c", "c"])
    assert Counter(parts) == {"train": 96, "val": 2, "test": 2}
    assert set(divided(["a"] * 6, RATIOS, [0, 0, 1, 1, 2, 2])) == {"train", "val", "test"}


def test_fewer_groups_than_parts_are_an_error_that_names_what_to_change():
    with pytest.raises(InstsegError, match=r"5 images in 2 groups cannot be split into 3 parts") as error:
        divided(["a"] * 5, RATIOS, [0, 0, 0, 1, 1])
    for way_out in ("dataset.split_ratio.test=0", "dataset.folds", "dataset.group_by=null"):
        assert way_out in str(error.value)
    with pytest.raises(InstsegError, match="0 images in 0 groups"):
        divided([])


@pytest.mark.parametrize(
    ("total", "ratios", "sizes"),
    [
        (200, (0.7, 0.15, 0.15), [140, 30, 30]),
        (10, (1, 1, 1, 1), [3, 3, 2, 2]),
        (3, (98, 1, 1), [1, 1, 1]),
        (5, (1, 1000), [1, 4]),
        (7, (2, 2), [4, 3]),
    ],
)
def test_sizes_are_whole_numbers_nearest_to_the_ratios_and_at_least_one(total, ratios, sizes):
    assert part_sizes(total, np.array(ratios, dtype=float)).tolist() == sizes


images = st.lists(st.text("abcde", max_size=3), min_size=1, max_size=60)
ratios_of_parts = st.dictionaries(st.sampled_from("pqrst"), st.floats(0.01, 10), min_size=1)


@settings(deadline=None)
@given(images, ratios_of_parts, st.randoms(use_true_random=False))
def test_single_images_fill_the_sizes_exactly_whatever_their_categories(labels, ratios, random):
    order = random.sample(range(len(labels)), len(labels))
    if len(labels) < len(ratios):
        with pytest.raises(InstsegError):
            divided(labels, ratios, order=order)
        return
    sizes = part_sizes(len(labels), np.array(list(ratios.values())))
    found = Counter(divided(labels, ratios, order=order))
    assert [found[part] for part in ratios] == sizes.tolist()


@settings(deadline=None)
@given(images, ratios_of_parts, st.data())
def test_no_group_is_divided_and_no_part_is_empty(labels, ratios, data):
    groups = data.draw(st.lists(st.integers(0, 20), min_size=len(labels), max_size=len(labels)))
    if len(set(groups)) < len(ratios):
        return
    parts = divided(labels, ratios, groups)
    assert len(set(zip(groups, parts, strict=True))) == len(set(groups))
    assert set(parts) == set(ratios)


@settings(deadline=None)
@given(st.lists(st.integers(3, 12), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_every_part_has_each_category_that_has_images_enough(numbers, random):
    labels = ["z"] * 60 + [name for name, number in zip("abcd", numbers, strict=False) for _ in range(number)]
    random.shuffle(labels)
    parts = divided(labels)
    for name in set(labels):
        assert set(count(labels, parts, name)) == set(RATIOS)


@settings(deadline=None)
@given(st.permutations(range(40)), st.integers(0, 5))
def test_the_order_of_the_images_makes_no_difference_their_ranks_do(permutation, seed):
    labels, groups = many(40, 5, seed), [i // 2 for i in range(40)]
    parts = divided(labels, RATIOS, groups)
    shuffled = divided(
        [labels[i] for i in permutation], RATIOS, [groups[i] for i in permutation], [int(i) for i in permutation]
    )
    assert [parts[i] for i in permutation] == shuffled


def test_every_category_is_within_three_images_or_two_percent_of_its_share():
    labels = many(3000, 60)
    parts = divided(labels)
    for category in map(str, range(60)):
        counts = count(labels, parts, category)
        for part, ratio in RATIOS.items():
            share = ratio * counts.total()
            assert abs(counts[part] - share) <= max(3, 0.02 * share)


def test_a_few_images_more_move_few_others():
    labels = many(2000, 40)
    order = np.random.default_rng(1).permutation(2000).tolist()
    before = divided(labels[:1995], order=order[:1995])
    after = divided(labels, order=order)
    assert sum(a != b for a, b in zip(before, after, strict=False)) < 60


def test_a_hundred_thousand_images_take_seconds():
    labels = many(100_000, 80)
    start = time.process_time()
    parts = divided(labels)
    assert time.process_time() - start < 15
    assert Counter(parts) == {"train": 70_000, "val": 15_000, "test": 15_000}
