"""AP by size, crowding and truncation: groups drawn by hand, and COCO's own numbers where the groups are its."""

from __future__ import annotations

import numpy as np
import pytest
from detections import CATEGORIES, DOG, LEFT, RIGHT, TOP_LEFT_PAIR, pool_of, prediction, random_images, truth
from factories import drawn

from instseg.evaluation.breakdowns import Groups, breakdown, by_border, by_crowding, by_size
from instseg.evaluation.estimates import draws_for
from instseg.evaluation.image_record import unique_images
from instseg.evaluation.matching import AREAS
from instseg.evaluation.metrics import evaluate_records

MIDDLE = drawn("........", "..##....", "..##....", "........")
WIDE = (6, 12)


def inside(mask):
    """A mask away from the border of a larger image."""
    return np.pad(mask, ((1, 1), (2, 2)))


def test_sizes_are_quantiles_of_the_instances_and_an_area_on_an_edge_is_in_the_smaller_group():
    instances = truth(1, [LEFT] * 4, areas=[10, 20, 30, 40])
    groups = by_size(pool_of([prediction(1, [LEFT, TOP_LEFT_PAIR])], [instances]).details, num_groups=2)
    assert groups.names == ("up to 20 px²", "above 20 px²")
    assert groups.truths.tolist() == [0, 0, 1, 1] and groups.detections.tolist() == [0, 0]
    assert by_size(pool_of([prediction(1, [])], [instances]).details).names[1:3] == ("10 to 20 px²", "20 to 30 px²")


def test_sizes_below_a_pixel_apart_have_names_of_their_own():
    tiny = truth(1, [LEFT] * 4, areas=[0.1, 0.12, 0.14, 0.2])
    names = by_size(pool_of([prediction(1, [])], [tiny]).details).names
    assert names == ("up to 0.10 px²", "0.10 to 0.12 px²", "0.12 to 0.14 px²", "above 0.14 px²")


def test_instances_of_one_size_are_one_group():
    assert by_size(pool_of([prediction(1, [])], [truth(1, [LEFT] * 9)]).details).names == ("all",)
    assert by_size(pool_of([prediction(1, [])], [truth(1, [])]).details).names == ("all",)


def test_crowding_counts_the_other_instances_whose_boxes_overlap():
    pair = prediction(1, [MIDDLE, RIGHT], labels=[DOG, DOG]), truth(1, [LEFT, MIDDLE, RIGHT])
    groups = by_crowding(pool_of(*([one] for one in pair)).details)
    assert [groups.names[place] for place in groups.truths] == ["1 or 2 neighbours", "1 or 2 neighbours", "alone"]
    assert [groups.names[place] for place in groups.detections] == ["1 or 2 neighbours", "alone"]
    assert by_crowding(pool_of([prediction(1, [])], [truth(1, [LEFT] * 4)]).details).truths.tolist() == [2] * 4


def test_an_instance_is_cut_off_that_ends_at_the_border():
    masks = [inside(MIDDLE), np.roll(inside(MIDDLE), -4, axis=1), np.roll(inside(MIDDLE), 2, axis=0)]
    groups = by_border(pool_of([prediction(1, masks[1:], size=WIDE)], [truth(1, masks, size=WIDE)]).details)
    assert groups.truths.tolist() == [0, 1, 1] and groups.detections.tolist() == [1, 1]


def test_what_is_found_and_wrong_counts_in_its_own_group_alone():
    made = prediction(1, [inside(MIDDLE), np.roll(inside(MIDDLE), -4, axis=1)], [0.8, 0.9], size=WIDE)
    pool = pool_of([made], [truth(1, [inside(MIDDLE)], size=WIDE)])
    whole, cut_off = breakdown(pool.details, by_border(pool.details), CATEGORIES, draws_for(1, 2))
    assert (whole.num_instances, whole.ap.value) == (1, pytest.approx(1))  # the better score is a wrong one, cut off
    assert cut_off.num_instances == 0 and np.isnan(cut_off.ap.value)


@pytest.mark.parametrize("seed", [0, 2, 3])  # without an area of just 32² px², which COCO counts in two ranges
def test_in_the_ranges_of_coco_the_numbers_are_those_of_coco(seed):
    pool = pool_of(*random_images(seed, num_images=10))
    records = unique_images([one.record for one in pool.details])
    numbers = evaluate_records(records, CATEGORIES)
    bounds = [high for _, high in list(AREAS.values())[1:3]]
    areas = np.concatenate([record.truth_areas for record in records])
    groups = Groups(
        "size", ("small", "medium", "large"), *(np.searchsorted(bounds, a) for a in (areas, pool.near.areas))
    )
    found = breakdown(pool.details, groups, CATEGORIES, draws_for(10, 100))
    expected = [numbers[f"segm_map_{name}"] for name in groups.names]
    assert [one.ap.value for one in found] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert sum(one.num_instances for one in found) == numbers["num_instances"]
    assert all(one.ap.low <= one.ap.value <= one.ap.high for one in found if one.num_instances > 5)


def test_a_single_group_has_the_average_precision_of_all():
    pool = pool_of(*random_images(4, num_images=10))
    groups = Groups("one", ("all",), np.zeros(len(pool.truth_images), int), np.zeros(len(pool.images), int))
    numbers = evaluate_records([one.record for one in pool.details], CATEGORIES)
    (found,) = breakdown(pool.details, groups, CATEGORIES, draws_for(10, 100))
    assert found.ap.value == pytest.approx(numbers["segm_map"])
