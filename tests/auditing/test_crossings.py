"""Crossings of polygons with themselves, counted for many polygons at once."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from factories import polygon, rectangle, star
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from instseg.auditing import crossings
from instseg.auditing.crossings import count_crossings

BOW_TIE = polygon((0, 0), (10, 10), (10, 0), (0, 10))
FIVE_POINTED = star(0, 0, 10)[::2][[0, 2, 4, 1, 3]]  # drawn in one go, every second tip
RING = polygon((0, 0), (9, 0), (9, 9), (0, 9), (0, 0), (3, 3), (3, 6), (6, 6), (6, 3), (3, 3))
TOUCHING = polygon((0, 0), (10, 0), (10, 10), (5, 0), (0, 10))


def counts(*polygons) -> list[int]:
    return count_crossings(np.concatenate(polygons), np.array([len(p) for p in polygons])).tolist()


def test_a_bow_tie_crosses_once_and_a_pentagram_five_times():
    assert counts(BOW_TIE) == [1]
    assert counts(FIVE_POINTED) == [5]


def test_shapes_that_people_draw_do_not_cross():
    assert counts(rectangle(0, 0, 4, 3), star(5, 5, 4), polygon((0, 0), (4, 0), (2, 3))) == [0, 0, 0]


def test_a_seam_to_a_hole_and_a_corner_on_an_edge_only_touch():
    assert counts(RING, TOUCHING) == [0, 0]


def test_points_that_are_repeated_or_lie_on_one_line_do_not_cross():
    assert counts(polygon((1, 1), (1, 1), (5, 1), (5, 1), (5, 5)), polygon((0, 0), (4, 4), (2, 2), (6, 6))) == [0, 0]


def test_each_polygon_has_its_own_count_whatever_its_neighbours_are():
    far = np.array([1e6, -3e5])
    assert counts(rectangle(0, 0, 9, 9), BOW_TIE, rectangle(1, 1, 8, 8), FIVE_POINTED + far, BOW_TIE) == [0, 1, 0, 5, 1]


def test_nothing_gives_nothing():
    assert counts(np.zeros((0, 2))) == [0]
    assert count_crossings(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)).tolist() == []


def test_an_polygon_of_many_points_is_counted_in_bounded_portions(monkeypatch):
    monkeypatch.setattr(crossings, "PAIRS_AT_ONCE", 7)
    assert counts(FIVE_POINTED, BOW_TIE, star(0, 0, 5, 40)) == [5, 1, 0]


def test_an_polygon_too_large_to_tell_says_so_and_leaves_the_others_alone(monkeypatch):
    monkeypatch.setattr(crossings, "MAX_PAIRS", 20)
    zigzag = np.stack([np.tile([0.0, 50.0], 20), np.arange(40.0)], axis=1)
    assert counts(BOW_TIE, zigzag, BOW_TIE) == [1, -1, 1]


def crossings_one_by_one(points) -> int:
    """The definition: pairs of edges whose ends lie strictly on both sides of each other."""

    def side(a, b, c) -> float:
        return np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))

    edges = [(points[i - 1], points[i]) for i in range(len(points))]
    return sum(
        side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
        for (a, b), (c, d) in combinations(edges, 2)
    )


whole_points = st.integers(3, 12).flatmap(
    lambda n: st_numpy.arrays(np.float64, (n, 2), elements=st.integers(0, 8).map(float))
)


@given(st.lists(whole_points, min_size=1, max_size=4))
def test_it_counts_what_comparing_all_pairs_of_edges_counts(polygons):
    assert counts(*polygons) == [crossings_one_by_one(points) for points in polygons]


@given(whole_points, st.integers(0, 11), st.booleans())
def test_the_first_point_and_the_direction_do_not_matter(points, start, backwards):
    turned = np.roll(points, start, axis=0)[:: -1 if backwards else 1]
    assert counts(turned) == counts(points)


@pytest.mark.parametrize("num_points", [3, 4, 60])
def test_regular_polygons_never_cross_wherever_they_lie(num_points):
    angles = np.arange(num_points) * 2 * np.pi / num_points
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert counts(*(circle * size + place for size in (0.01, 1, 4000) for place in (-5, 0, 1e5))) == [0] * 9
