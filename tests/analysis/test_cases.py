"""Cases of an evaluated set, what they cost, and the counts that they add up to."""

from __future__ import annotations

import numpy as np
import pytest
from analysed import cases_of, random_pairs, subject_of
from detections import CAR, DOG, LEFT, RIGHT, prediction, truth
from factories import drawn
from sampled import first

from instseg.analysis.cases import Kind, of_kind
from instseg.analysis.section_matrix import cases_of_cells
from instseg.analysis.wording import describe

QUARTER = drawn("##......", "........", "........", "........")


def found_in(*pairs):
    return cases_of(subject_of(pairs))[0]


def described(*pairs):
    subject = subject_of(pairs)
    return [describe(case, subject) for case in cases_of(subject)[0]]


def test_what_is_found_is_no_case():
    assert found_in((prediction(1, [LEFT]), truth(1, [LEFT]))) == []


def test_a_missed_object_names_the_detection_below_the_threshold_that_finds_it():
    assert described((prediction(1, []), truth(1, [LEFT]))) == ["missed car"]
    below = (prediction(1, [LEFT], [0.3]), truth(1, [LEFT]))
    assert described(below) == ["missed car, found with score 0.3, below the threshold"]


@pytest.mark.parametrize(
    ("masks", "labels", "said"),
    [
        ([RIGHT], [CAR], "car 0.90, where nothing is labelled"),
        ([LEFT], [DOG], "car taken for dog 0.90"),
        ([QUARTER], [CAR], "car 0.90, mask IoU 0.25"),
        ([LEFT, LEFT], [CAR, DOG], "dog 0.90, on a car that is found already"),
    ],
)
def test_a_wrong_detection_is_described_by_what_is_wrong_with_it(masks, labels, said):
    assert said in described((prediction(1, masks, labels=labels), truth(1, [LEFT])))


def test_a_repeated_detection_that_overlaps_a_missed_neighbour_is_no_bad_mask_of_it():
    left, right = drawn(*["#####..."] * 4), drawn(*["....####"] * 4)
    said = described((prediction(1, [left, left], [0.9, 0.8]), truth(1, [left, right])))
    assert sorted(said) == ["car 0.80, on a car that is found already", "missed car"]


def test_an_object_with_a_wrong_detection_is_no_second_case():
    confused = (prediction(1, [LEFT], labels=[DOG]), truth(1, [LEFT]))
    assert [case.kind for case in found_in(confused)] == [Kind.CONFUSED]


def test_a_wrong_detection_costs_what_ap_gains_without_it():
    """Against AP without interpolation, computed with and without each wrong detection."""
    rng = np.random.default_rng(0)
    scores = np.sort(rng.random(12))[::-1]
    is_right = rng.random(12) < 0.6
    pairs = [
        (prediction(i, [LEFT if right else RIGHT], [score]), truth(i, [LEFT]))
        for i, (score, right) in enumerate(zip(scores, is_right, strict=True))
    ]
    subject = subject_of(pairs, threshold=0.0)

    def ap(kept):
        right = is_right[kept]
        return float((right * np.cumsum(right) / np.arange(1, len(right) + 1)).sum() / 12)

    everything = np.ones(12, bool)
    for case in of_kind(cases_of(subject)[0], Kind.FALSE):
        without = everything.copy()
        without[case.image] = False
        assert case.cost == pytest.approx(ap(without) - ap(everything), abs=1e-12)


def test_what_costs_most_comes_first_and_a_rare_category_weighs_more():
    rare = (prediction(1, []), truth(1, [LEFT], [DOG]))
    common = [(prediction(i, []), truth(i, [LEFT])) for i in range(2, 6)]
    subject = subject_of([rare, *common])
    assert describe(cases_of(subject)[0][0], subject) == "missed dog"


def test_a_crowd_is_never_part_of_a_case():
    crowd = drawn("##......", "#.......", "#.......", "#.......")
    pair = (prediction(1, [QUARTER, LEFT]), truth(1, [crowd, RIGHT], iscrowd=[True, False]))
    assert all(case.truth != 0 for case in found_in(pair))


def test_of_equal_costs_the_larger_object_comes_first():
    subject = subject_of([(prediction(1, []), truth(1, [QUARTER, LEFT]))])
    assert [case.truth for case in cases_of(subject)[0]] == [1, 0]


def test_each_detection_below_0_5_takes_one_missed_object_the_best_score_first():
    pair = (prediction(1, [QUARTER, QUARTER], [0.6, 0.9]), truth(1, [LEFT]))
    assert [(case.kind, case.detection) for case in found_in(pair)] == [(Kind.BAD_MASK, 1), (Kind.FALSE, 0)]


@pytest.mark.parametrize("seed", first(3, range(20)))
def test_each_cell_off_the_diagonal_has_as_many_cases_as_it_counts(seed):
    subject = subject_of(random_pairs(seed))
    cases, measured = cases_of(subject)
    matrix = measured.confusion.matrix.copy()
    np.fill_diagonal(matrix, 0)
    counted = np.zeros_like(matrix)
    for cell, of_cell in cases_of_cells(cases, subject).items():
        counted[cell] = len(of_cell)
    assert counted.tolist() == matrix.tolist()
