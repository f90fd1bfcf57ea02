"""Choice of images to label next, of hand-made uncertainties and features."""

import numpy as np

from instseg.analysis.next_images.choice import Candidates, choose

KINDS = np.eye(3, dtype=np.float32)
"""Features of three images that have nothing in common."""


def chosen(uncertainties, features, count, groups=None, labelled=(), labelled_groups=()):
    features = np.array(features, np.float32)
    groups = np.arange(len(features)) if groups is None else np.array(groups)
    shown = np.array(labelled, np.float32).reshape(-1, features.shape[1])
    own = np.array(labelled_groups or range(100, 100 + len(shown)), np.int64)
    return list(choose(Candidates(np.array(uncertainties, float), features, groups, shown, own), count))


def indices(*arguments, **keywords):
    return [one.index for one in chosen(*arguments, **keywords)]


def test_the_most_uncertain_image_comes_first():
    assert indices([1, 5, 3], KINDS, 1) == [1]


def test_among_images_that_are_as_different_uncertainty_decides():
    assert indices([1, 5, 3], KINDS, 3) == [1, 2, 0]


def test_an_image_of_another_kind_comes_before_a_more_uncertain_one_of_the_same_kind():
    features = [KINDS[0], KINDS[0] + 0.01, KINDS[1], KINDS[2]]
    assert indices([9, 8, 5, 1], features, 2) == [0, 2]


def test_near_duplicates_are_left_out_of_each_other_and_of_what_is_labelled():
    assert indices([9, 8, 7], KINDS, 3, groups=[4, 4, 5]) == [0, 2]
    assert indices([9, 8, 7], KINDS, 3, groups=[4, 5, 6], labelled=[KINDS[0]], labelled_groups=[4]) == [1, 2]


def test_what_is_like_a_labelled_image_comes_late():
    assert indices([9, 8, 7], KINDS, 1, labelled=[KINDS[0]]) == [1]


def test_images_that_the_model_is_sure_of_are_not_shut_out():
    assert sorted(indices([0, 0, 0], KINDS, 5)) == [0, 1, 2]
    assert indices([0], KINDS[:1], 1) == [0]


def test_each_says_its_rank_by_uncertainty_and_the_nearest_image_before_it():
    first, second, third = chosen([1, 5, 3], KINDS, 3)
    assert [one.rank for one in (first, second, third)] == [1, 2, 3]
    assert first.is_first and first.nearest is None and (second.nearest, second.is_first) == (1, False)
    assert 0.7 < second.distance < 0.8  # opposite directions have 1, those at right angles 0.5
    (beside,) = chosen([1, 5], KINDS[:2], 1, labelled=[KINDS[2]])
    assert (beside.nearest, beside.is_first) == (None, False)


def test_nothing_is_chosen_where_everything_is_labelled():
    assert indices([1, 2], KINDS[:2], 2, groups=[0, 1], labelled=KINDS[:2], labelled_groups=[0, 1]) == []
