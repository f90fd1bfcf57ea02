"""Names decide; ids are a matter of the json alone."""

from __future__ import annotations

import pytest

from instseg.core.categories import Categories, select_names
from instseg.core.errors import InstsegError

ANIMALS = Categories(("cat", "dog", "horse"))


def test_labels_count_from_one_in_the_given_order():
    assert [ANIMALS.label(name) for name in ("cat", "dog", "horse")] == [1, 2, 3]
    assert [ANIMALS.name(label) for label in (1, 2, 3)] == ["cat", "dog", "horse"]
    assert len(ANIMALS) == 3
    assert ANIMALS.num_classes == 4


@pytest.mark.parametrize("label", [0, -1, 4])
def test_the_background_has_no_name(label):
    with pytest.raises(IndexError):
        ANIMALS.name(label)


def test_ids_of_the_json_are_matched_by_name_whatever_they_are():
    of_json = [{"id": 90, "name": "dog"}, {"id": 0, "name": "horse"}, {"id": 7, "name": "zebra"}]
    assert ANIMALS.id_to_label(of_json) == {90: 2, 0: 3}


def test_two_ids_of_one_name_are_one_category():
    assert ANIMALS.id_to_label([{"id": 1, "name": "cat"}, {"id": 5, "name": "cat"}]) == {1: 1, 5: 1}


def test_written_ids_are_the_labels():
    assert ANIMALS.to_coco() == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "horse"}]


def test_a_name_given_twice_is_an_error():
    with pytest.raises(InstsegError, match="found twice: dog"):
        Categories(("dog", "cat", "dog"))


def test_the_same_names_in_the_same_order_are_the_same():
    ANIMALS.check_same(Categories(("cat", "dog", "horse")), "checkpoint", "dataset")


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (("cat", "dog"), "only in checkpoint: horse$"),
        (("cat", "dog", "horse", "cow"), "only in dataset: cow$"),
        (("cat", "dog", "cow"), "only in checkpoint: horse; only in dataset: cow"),
        (("dog", "cat", "horse"), "order in checkpoint: cat, dog, horse; order in dataset: dog"),
    ],
)
def test_a_difference_is_told_by_name(others, told):
    with pytest.raises(InstsegError, match=told):
        ANIMALS.check_same(Categories(others), "checkpoint", "dataset")


def test_names_are_selected_in_the_wanted_order():
    assert select_names(ANIMALS.names, ["horse", "cat"], "here") == ("horse", "cat")
    assert select_names(ANIMALS.names, None, "here") == ANIMALS.names
    assert select_names(ANIMALS.names, "dog", "here") == ("dog",), "one need not be a list"


def test_a_name_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(InstsegError, match=r"my.json: no category named hors, cow. Did you mean horse\? There are cat"):
        select_names(ANIMALS.names, ["cat", "hors", "cow"], "my.json")
