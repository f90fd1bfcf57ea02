"""Choice of coco4's images, worked out by hand and for any json."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutating import read_damaged_files

from instseg.core.records import RecordError
from instseg.data.builtin.coco4_selection import Recipe, read_selection, read_unfinished_selection, select_images


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


RECIPE = Recipe(("car",), (("train", 1), ("val", 1)), 0)
ONE_IMAGE = {"images": [{"file_name": "1.jpg", "width": 24, "height": 16, "license": 3}], "annotations": []}


def test_whatever_is_wrong_with_an_unfinished_selection_is_one_kind_of_error(tmp_path: Path, tries: int) -> None:
    path = tmp_path / "selection.json"
    path.write_text(json.dumps({"train": ONE_IMAGE, "val": ONE_IMAGE}))
    read = partial(read_unfinished_selection, path, RECIPE, "delete it")
    assert read() == {"train": ONE_IMAGE, "val": ONE_IMAGE}
    tried, refused = read_damaged_files(path, read, tries)
    assert tried > tries and refused > 0.5 * tried


def test_whatever_is_wrong_with_a_finished_selection_is_one_kind_of_error(tmp_path: Path, tries: int) -> None:
    path = tmp_path / "instances_train.json"
    path.write_text(json.dumps(ONE_IMAGE))
    tried, refused = read_damaged_files(path, lambda: read_selection({"train": path}, "delete it"), tries)
    assert tried > tries and refused > 0.5 * tried


@pytest.mark.parametrize("name", ["../1.jpg", "/1.jpg", "a\\1.jpg", "1.jpg/..", ".."])
def test_an_image_of_a_selection_lies_in_no_other_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / "instances_train.json"
    path.write_text(json.dumps({"images": [{"file_name": name, "width": 1, "height": 1}]}))
    with pytest.raises(RecordError, match=r"instances_train\.json: field .*file_name: expected .*; delete it"):
        read_selection({"train": path}, "delete it")
