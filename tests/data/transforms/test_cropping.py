"""What is left of polygons at the border of the image, and how much of it others may still hide."""

from __future__ import annotations

import numpy as np
import pytest
from factories import polygon, rectangle, star
from hypothesis import given
from hypothesis import strategies as st

from instseg.core.masks import clip_polygon, polygon_area, polygons_to_box
from instseg.data.transforms.cropping import visible_polygons

SIZE = (40, 60)


def test_a_polygon_within_the_image_stays_the_very_same():
    parts = [rectangle(0, 0, 60, 40)]
    visible = visible_polygons([parts], SIZE, 0.3)[0]
    assert visible.parts is parts
    assert visible.box.tolist() == [0, 0, 60, 40]
    assert visible.min_fraction == 0.3


def test_what_reaches_out_is_cut_off_and_its_box_with_it():
    visible = visible_polygons([[rectangle(50, 10, 70, 20)]], SIZE, 0.3)[0]
    assert visible.box.tolist() == [50, 10, 60, 20]
    assert sum(map(polygon_area, visible.parts)) == 100


def test_of_half_a_polygon_twice_the_fraction_must_not_be_hidden():
    visible = visible_polygons([[rectangle(50, 10, 70, 20)]], SIZE, 0.3)[0]
    assert visible.min_fraction == pytest.approx(0.6)


def test_less_than_the_fraction_that_is_asked_for_is_left_out():
    assert visible_polygons([[rectangle(50, 10, 70, 20)]], SIZE, 0.6) == {}


def test_polygons_beyond_each_side_are_left_out_even_where_any_fraction_will_do():
    around = [rectangle(-9, 5, -1, 9), rectangle(61, 5, 69, 9), rectangle(5, -9, 9, -1), rectangle(5, 41, 9, 49)]
    assert visible_polygons([[shape] for shape in around], SIZE, 0.0) == {}


def test_positions_of_shapes_without_parts_are_passed_over():
    assert list(visible_polygons([[], [rectangle(1, 1, 5, 5)], [], [star(20, 20, 9)]], SIZE, 0.1)) == [1, 3]
    assert visible_polygons([[], []], SIZE, 0.1) == {}


def test_one_of_two_parts_may_be_gone():
    inside = rectangle(30, 10, 50, 20)
    visible = visible_polygons([[rectangle(70, 10, 75, 20), inside]], SIZE, 0.1)[0]
    assert [part.tolist() for part in visible.parts] == [inside.tolist()]
    assert visible.box.tolist() == [30, 10, 50, 20]


def test_a_flat_polygon_has_nothing_of_its_area_to_lose():
    assert visible_polygons([[polygon((50, 5), (70, 5), (70, 5))]], SIZE, 0.1) == {}


@given(st.integers(0, 2**32))
def test_all_at_once_is_the_same_as_one_by_one(seed):
    random = np.random.default_rng(seed)
    shapes = [[star(*random.uniform(-30, 90, 2), random.uniform(1, 40)) for _ in range(k % 3)] for k in range(7)]
    found = visible_polygons(shapes, SIZE, 0.0)
    for position, parts in enumerate(shapes):
        expected = [cut for part in parts if len(cut := clip_polygon(part, SIZE))]
        assert (position in found) == bool(expected)
        if expected:
            assert [part.tolist() for part in found[position].parts] == [part.tolist() for part in expected]
            assert found[position].box.tolist() == polygons_to_box(expected).tolist()
