"""Advice on what to do next: each is given where its numbers ask for it, and not elsewhere."""

from __future__ import annotations

import math
import shlex

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from instseg.analysis.advice import Seen, Situation, advice_section
from instseg.analysis.cases import Case, Kind
from instseg.analysis.section_breakdowns import Part
from instseg.evaluation.estimates import Estimate

NAMES = ("car", "pick-up")
MATRIX = np.array([[0, 2, 2], [5, 40, 0], [5, 0, 40]])
SITUATION = Situation(400, 640, np.array([200, 200]))


def cases_of(kind, count, detection=None):
    return [Case(kind, image, 0, detection) for image in range(count)]


def titles(cases=(), *, matrix=MATRIX, parts=None, score=0.95, situation=SITUATION, below=(), repeated=None):
    scores = {case: score for case in cases if case.detection is not None}
    section = advice_section(Seen(NAMES, matrix, list(cases), parts or {}, below, scores, repeated or {}), situation)
    return {advice.title: advice for advice in section.content.advice}


def part(name, value, spread=0.02, count=50, lost=20):
    return Part(name, count, lost, Estimate(value, value - spread, value + spread))


def test_where_nothing_is_wrong_nothing_is_advised():
    assert titles() == {}


def test_objects_found_below_the_threshold_ask_for_a_lower_one_of_their_category():
    below = [(1, 0.1), *((2, 0.3470 + 0.0001 * number) for number in range(9))]
    advice = titles(below=below)["Lower the threshold of pick-up"]
    assert advice.commands == ("'score_threshold={pick-up:0.347}'",)
    assert "9 missed objects" in advice.reason


def test_objects_that_nothing_finds_ask_whether_it_learns():
    matrix = np.array([[0, 0, 0], [40, 0, 0], [0, 0, 0]])
    assert titles(cases_of(Kind.MISSED, 40), matrix=matrix)["Find out whether it learns"].commands == ("debug=overfit",)
    assert titles(cases_of(Kind.MISSED, 10)) == {}


def test_two_categories_that_are_confused_are_named_with_the_command_that_joins_them():
    matrix = MATRIX + np.array([[0, 0, 0], [0, 0, 7], [0, 2, 0]])
    advice = titles(cases_of(Kind.CONFUSED, 9, detection=1), matrix=matrix)["Look at car and pick-up"]
    assert advice.reason.startswith("9 objects")
    assert advice.commands == ("'dataset.rename={car:\"pick-up\"}'",)


def test_what_is_found_as_both_of_two_categories_is_confused_too():
    found = titles(cases_of(Kind.REPEATED, 9, detection=1), repeated={(1, 2): 8, (2, 2): 1})
    assert found["Look at car and pick-up"].reason.startswith("8 objects of one are taken for the other, or found as")
    assert "Suppress repeated detections" not in found


@pytest.mark.parametrize("name", ["$(rm -rf ~)", "it's", "été", "true", "1", "a\\", "a: b"])
def test_a_command_with_any_name_gives_shell_and_hydra_that_name(name):
    matrix = MATRIX + np.array([[0, 0, 0], [0, 0, 9], [0, 0, 0]])
    section = advice_section(Seen(("car", name), matrix, [], {}, (), {}, {}), SITUATION)
    (argument,) = shlex.split(section.content.advice[0].commands[0])
    override = OverridesParser.create().parse_override(argument)
    assert (override.key_or_group, override.value()) == ("dataset.rename", {"car": name})


@pytest.mark.parametrize(
    ("smallest", "spread", "is_given"), [(0.2, 0.02, True), (0.45, 0.1, False), (0.2, math.nan, False)]
)
def test_small_objects_that_are_clearly_worse_ask_for_larger_images(smallest, spread, is_given):
    parts = {"By size": [part("up to 81 px²", smallest, spread), part("above 81 px²", 0.5, spread)]}
    found = titles(parts=parts)
    assert ("Show the network larger images" in found) == is_given
    if is_given:
        commands = found["Show the network larger images"].commands
        assert commands == ("augmentation.min_size=608 augmentation.max_size=960",)


def test_small_objects_of_which_few_are_lost_ask_for_nothing():
    parts = {"By size": [part("up to 81 px²", 0.2, lost=2), part("above 81 px²", 0.5)]}
    assert titles(parts=parts) == {}


def test_objects_that_touch_and_are_clearly_worse_ask_for_more_of_them():
    parts = {"By crowding": [part("alone", 0.6), part("1 or 2 neighbours", 0.3), part("3 or more neighbours", 0.59)]}
    assert "50 objects" in titles(parts=parts)["Train on more objects that touch"].reason


def test_sure_detections_where_nothing_is_labelled_ask_for_a_look_at_the_labels():
    cases = [Case(Kind.FALSE, image, None, 0) for image in range(5)]
    assert "Look for missing labels" in titles(cases)
    assert titles(cases, score=0.6) == {}


def test_repeated_detections_ask_for_a_lower_threshold_of_suppression():
    advice = titles(cases_of(Kind.REPEATED, 5, detection=0), repeated={(1, 1): 5})["Suppress repeated detections"]
    assert advice.commands == ("model.box.nms_threshold=0.3",)


def test_a_rare_category_that_is_missed_is_named():
    advice = titles(situation=Situation(400, 640, np.array([200, 7])))["Label more of what is rare"]
    assert advice.reason.startswith("pick-up: fewer than 30")


def test_what_concerns_few_of_the_mistakes_is_left_out():
    many = cases_of(Kind.CONFUSED, 100)
    assert titles([*many, *cases_of(Kind.REPEATED, 5, detection=0)], repeated={(1, 1): 5}) == {}
