"""Names stand beside their instances, hide none of them nor each other, and can be read."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.visualization.labels import MAX_HIDING, LabelPlacer
from instseg.visualization.text import contrasting, fitting, font_of, letter_px

RED = (255, 0, 0)


def placer(height: int, width: int, covered: np.ndarray | None = None, size_px: int = 12) -> LabelPlacer:
    canvas = np.full((height, width, 3), 90, np.uint8)
    return LabelPlacer(canvas, np.zeros((height, width), np.uint8) if covered is None else covered, size_px)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    box=st.lists(st.floats(-400, 700), min_size=4, max_size=4),
    text=st.text(max_size=60),
)
def test_a_name_never_leaves_the_picture(size, box, text):
    names = placer(*size)
    names.write(np.array(box), text, RED, "kind")
    ((x1, y1, x2, y2),) = names.taken
    assert 0 <= x1 < x2 <= size[1] and 0 <= y1 < y2 <= size[0]


def test_names_of_stacked_boxes_do_not_hide_each_other():
    names = placer(400, 400)
    for _ in range(6):
        assert names.write(np.array([100.0, 100, 300, 300]), "sign board", RED, "kind")
    covered = np.zeros((400, 400), int)
    for x1, y1, x2, y2 in names.taken:
        covered[y1:y2, x1:x2] += 1
    assert covered.max() == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_no_name_but_the_first_of_its_kind_hides_instances_or_names(seed, count):
    rng = np.random.default_rng(seed)
    corners, sides = rng.integers(0, 350, (count, 2)), rng.integers(4, 90, (count, 2))
    covered = np.zeros((400, 400), np.uint8)
    for (x, y), (w, h) in zip(corners, sides, strict=True):
        covered[y : y + h, x : x + w] = 1
    names = placer(400, 400, covered)
    for (x, y), (w, h) in zip(corners, sides, strict=True):
        names.write(np.array([x, y, x + w, y + h], float), "nucleus", RED, "kind", area=float(w * h))
    taken = np.zeros((400, 400), int)
    for number, (x1, y1, x2, y2) in enumerate(names.taken):
        is_within = (corners <= (x1, y1)).all(axis=1) & (corners + sides >= (x2, y2)).all(axis=1)
        assert number == 0 or is_within.any() or covered[y1:y2, x1:x2].mean() <= MAX_HIDING
        taken[y1:y2, x1:x2] += 1
    assert taken.max() == 1


def test_where_there_is_no_room_a_name_is_left_out_unless_it_is_the_first_of_its_kind():
    names = placer(60, 60, np.ones((60, 60), np.uint8))
    box = np.array([20.0, 20, 40, 40])
    assert names.write(box, "car", RED, "car")
    assert not names.write(box, "car", RED, "car")
    assert names.write(box, "dog", RED, "dog")


def test_a_large_instance_that_fills_the_picture_has_its_name_on_itself():
    names = placer(400, 400, np.ones((400, 400), np.uint8))
    names.kinds.add("car")
    assert names.write(np.array([0.0, 0, 400, 400]), "car", RED, "car", area=160_000.0)
    ((x1, y1, x2, y2),) = names.taken
    assert abs((x1 + x2) / 2 - 200) <= 1 and abs((y1 + y2) / 2 - 200) <= 1


def test_long_names_are_cut_with_dots():
    cut = fitting("a name that goes on and on", 14, 100)
    assert cut.endswith("…") and font_of(14).getlength(cut) <= 100
    assert fitting("short", 14, 100) == "short"


def test_letters_follow_the_picture_but_slower_than_its_sides():
    small, large = letter_px((480, 640)), letter_px((3000, 4000))
    assert small == 14
    assert 3 * small < large < 6.25 * small
    assert letter_px((3000, 4000), num_instances=100) < large


@given(colour=st.tuples(*[st.integers(0, 255)] * 3))
def test_letters_stand_out_from_their_plate(colour):
    def luminance(rgb: tuple[int, int, int]) -> float:
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    light, dark = sorted((luminance(colour), luminance(contrasting(colour))), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.1 AA
