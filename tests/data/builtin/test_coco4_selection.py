"""Choice of coco4's images, worked out by hand and for any json."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.data.builtin.coco4_selection import select_images


def test_categories_take_turns_from_the_rarest_and_a_shared_image_counts_once() -> None:
    images = {1: range(100, 200), 2: range(5), 3: [0, 1, 2]}  # images 0, 1 and 2 hold both 2 and 3
    chosen = select_images(images, 12, "key")
    assert set(range(5)) <= set(chosen)  # the rare ones are used up …
    assert len(set(chosen) & set(range(100, 200))) == 7  # … and the common one fills up
    assert chosen == sorted(set(chosen))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.integers(1, 5), st.sets(st.integers(0, 60)), max_size=4),
    st.integers(0, 50),
    st.integers(0, 3),
)
def test_the_choice_is_complete_and_does_not_depend_on_the_order_of_the_json(
    images: dict[int, set[int]], number: int, seed: int
) -> None:
    chosen = select_images(images, number, str(seed))
    union = set().union(*images.values())
    assert len(chosen) == min(number, len(union))
    assert set(chosen) <= union
    backwards = {category: sorted(images[category], reverse=True) for category in reversed(images)}
    assert select_images(backwards, number, str(seed)) == chosen
