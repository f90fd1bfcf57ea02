"""Panoptic quality and Dice: drawn by hand, and by the definition on masks that do not overlap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from detections import (
    CAR,
    CATEGORIES,
    DOG,
    EVERYTHING,
    LEFT,
    RIGHT,
    TOP_LEFT_PAIR,
    pool_of,
    prediction,
    random_images,
    truth,
)
from factories import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.core.masks import rle_to_bitmask
from instseg.evaluation.assignment import assign
from instseg.evaluation.estimates import draws_for
from instseg.evaluation.mask_quality import mask_quality

MOST = drawn("####....", "##......", "........", "........")  # 6 of the 8 pixels of LEFT


def quality(predictions, truths, min_score=0.0):
    pool = pool_of(predictions, truths)
    kept = pool.rows.scores >= min_score
    found = mask_quality(pool, assign(pool), kept, CATEGORIES, draws_for(len(truths), len(kept)))
    return {one.category: one for one in found}


def test_panoptic_quality_is_the_iou_of_matches_times_their_f1():
    car = quality([prediction(1, [MOST, RIGHT])], [truth(1, [LEFT])])["car"]
    assert (car.num_matches, car.num_wrong, car.num_missed) == (1, 1, 0)
    assert car.segmentation.value == pytest.approx(6 / 8) and car.recognition.value == pytest.approx(1 / 1.5)
    assert car.panoptic.value == pytest.approx(6 / 8 / 1.5) and car.dice.value == pytest.approx(2 * 6 / (6 + 8))


def test_an_iou_of_just_a_half_is_no_match():
    car = quality([prediction(1, [TOP_LEFT_PAIR])], [truth(1, [LEFT])])["car"]
    assert (car.num_matches, car.num_wrong, car.num_missed) == (0, 1, 1) and car.panoptic.value == 0
    assert math.isnan(car.segmentation.value)


def test_crowds_and_detections_below_the_threshold_do_not_count():
    images = [prediction(1, [LEFT, RIGHT], [0.9, 0.4])], [truth(1, [EVERYTHING, RIGHT], iscrowd=[True, False])]
    assert quality(*images)["car"].panoptic.value == 1
    assert quality(*images, min_score=0.5)["car"].num_missed == 1


def test_the_mean_is_over_the_categories_that_are_there():
    found = quality([prediction(1, [LEFT])], [truth(1, [LEFT, RIGHT], labels=[CAR, DOG])])
    assert found["all"].panoptic.value == 0.5 and math.isnan(found["cake"].panoptic.value)
    assert found["all"].segmentation.value == 0.5  # as in panopticapi, where a category without a match has 0


def test_the_quality_has_an_interval_over_images():
    found = quality(*random_images(1, num_images=20))
    assert found["all"].panoptic.low < found["all"].panoptic.value < found["all"].panoptic.high


def stripes(rng, image_id):
    """A partition of an image into stripes of two categories, and one that is nearly the same."""
    borders = np.sort(rng.choice(np.arange(1, 40), 5, replace=False))
    moved = np.sort(np.clip(borders + rng.integers(-2, 3, 5), 1, 39))
    labels = rng.choice([CAR, DOG], 6)
    changed = np.where(rng.random(6) < 0.8, labels, rng.choice([CAR, DOG], 6))
    numbers = [np.tile(np.searchsorted(ends, np.arange(40), side="right"), (3, 1)) for ends in (borders, moved)]
    made, true = ([number == stripe for stripe in np.unique(number)] for number in numbers)
    return (
        prediction(image_id, made, labels=labels[np.unique(numbers[0])], size=(3, 40)),
        truth(image_id, true, changed[np.unique(numbers[1])], size=(3, 40)),
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_of_partitions_the_quality_is_that_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    pairs = [stripes(rng, image_id) for image_id in range(3)]
    ious, unmatched = [], 0
    for made, true in pairs:
        masks = [[rle_to_bitmask(rle).astype(bool) for rle in one.rles] for one in (made, true)]
        table = np.array([[(a & b).sum() / (a | b).sum() for b in masks[1]] for a in masks[0]])
        same = (made.labels[:, None] == true.labels) & (made.labels == CAR)[:, None]
        matches = table[same & (table > 0.5)]
        ious += matches.tolist()
        unmatched += (made.labels == CAR).sum() + (true.labels == CAR).sum() - 2 * len(matches)
    expected = sum(ious) / (len(ious) + unmatched / 2) if ious or unmatched else math.nan
    found = quality(*(list(column) for column in zip(*pairs, strict=True)))["car"]
    assert found.panoptic.value == pytest.approx(expected, nan_ok=True)
    assert found.segmentation.value == pytest.approx(np.mean(ious) if ious else math.nan, nan_ok=True)
