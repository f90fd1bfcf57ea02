"""Label errors of each kind, drawn by hand beside many labels that are right."""

from __future__ import annotations

from pathlib import Path

import pytest
from detections import CAR, CATEGORIES, DOG
from factories import write_picture
from judged import BOTH, CASES, FAR, LARGE, LEFT, LOWER, RIGHT, SIZE, UPPER, box, found, judged, labelled

from instseg.analysis.label_errors.find import find_label_errors
from instseg.analysis.label_errors.judged import Judged
from instseg.analysis.label_errors.page import build_page
from instseg.analysis.label_errors.proposals import corrections_of
from instseg.analysis.label_errors.suspicion import Kind, Suspicion, ranked
from instseg.analysis.label_errors.table import write_table
from instseg.analysis.page.render import render
from instseg.analysis.subject import ImageFile
from instseg.core.masks import rle_to_bitmask
from instseg.data.reading.corrections import Correction
from instseg.evaluation.evaluated import EvaluatedImages


def likely(*pairs):
    """Suspicions from a score of 0.5 on."""
    return [one for one in find_label_errors(judged(*pairs).images) if one.score >= 0.5]


@pytest.mark.parametrize("case", CASES)
def test_each_error_is_one_suspicion_of_its_kind(case):
    prediction, truth, kind, truths, detections = CASES[case]
    suspicions = likely((prediction, truth))
    assert [(one.kind, one.truths, one.detections) for one in suspicions] == [(kind, truths, detections)]


def test_labels_that_are_right_are_not_suspected():
    assert likely((found(99, LEFT, FAR, labels=[CAR, DOG]), labelled(99, LEFT, FAR, labels=[CAR, DOG]))) == []


def test_a_detection_in_a_crowd_and_a_crowd_itself_are_no_errors():
    crowd = labelled(99, LARGE, labels=[CAR], iscrowd=[True])
    assert likely((found(99, LEFT), crowd)) == []
    assert likely((found(99), crowd)) == []


def test_a_doubtful_detection_makes_no_likely_error():
    assert likely((found(99, RIGHT, scores=[0.1]), labelled(99))) == []


def test_two_detections_of_one_object_without_label_are_one_suspicion():
    twice = found(99, LEFT, box(2, 4, 17, 19), labels=[CAR, DOG], scores=[0.95, 0.9])
    assert [one.kind for one in likely((twice, labelled(99)))] == [Kind.UNLABELLED]


def test_a_set_in_which_nothing_is_found_has_no_suspicion():
    pairs = [(found(number), labelled(number, LEFT)) for number in (1, 2)]
    assert find_label_errors(EvaluatedImages.of(pairs, CATEGORIES)) == []
    assert find_label_errors(EvaluatedImages.of([], CATEGORIES)) == []


def test_a_label_is_in_the_likeliest_suspicion_only():
    one, other = Suspicion(Kind.CATEGORY, 0, (1,), (2,), 0.9), Suspicion(Kind.POLYGON, 0, (1,), (3,), 0.8)
    elsewhere = Suspicion(Kind.UNLABELLED, 1, (), (2,), 0.3)
    assert ranked([elsewhere, other, one]) == [one, elsewhere]


def corrections(case, rename=None):
    """(category, mask) before and after of what is proposed."""
    prediction, truth = CASES[case][:2]
    one = judged((prediction, truth))
    proposed = corrections_of(one, likely((prediction, truth)), rename or {})
    assert list(proposed) == [Path("/data/99.png")]
    return [_plain(correction) for correction in proposed[Path("/data/99.png")]]


def _plain(correction: Correction):
    sides = (correction.before, correction.after)
    return [side and (side.category, rle_to_bitmask(side.rle).tolist()) for side in sides]


def label(category, mask):
    return category, mask.tolist()


def test_corrections_add_remove_rename_redraw_part_and_join():
    assert corrections("an object without label") == [[None, label("car", LEFT)]]
    assert corrections("a label without object") == [[label("car", FAR), None]]
    assert corrections("a wrong category") == [[label("car", LEFT), label("dog", LEFT)]]
    assert corrections("a polygon that is too large") == [[label("car", LARGE), label("car", LEFT)]]
    assert corrections("two objects in one label") == [
        [label("car", BOTH), label("car", LEFT)],
        [None, label("car", RIGHT)],
    ]
    assert corrections("one object in two labels") == [
        [label("car", UPPER), label("car", LEFT)],
        [label("car", LOWER), None],
    ]


def test_corrections_have_the_names_that_the_labels_have():
    assert corrections("a wrong category", {"hund": "dog", "auto": "car"}) == [
        [label("auto", LEFT), label("hund", LEFT)]
    ]


def test_the_table_has_a_row_for_each_suspicion_and_no_formula(tmp_path):
    one = judged(CASES["a wrong category"][:2])
    one = Judged(one.images, [ImageFile("=1+1.png", file.path) for file in one.files], one.judges)
    suspicions = find_label_errors(one.images)
    write_table(tmp_path / "errors.csv", one, suspicions)
    head, first, *others = (tmp_path / "errors.csv").read_text().splitlines()
    assert head == "rank,score,kind,image,labelled,found,x1,y1,x2,y2,judge"
    assert first.split(",")[2:] == ["wrong_category", "'=1+1.png", "car", "dog", "2.0", "4.0", "18.0", "20.0", "run"]
    assert len(others) == len(suspicions) - 1


def test_the_page_says_what_was_judged_and_shows_the_likeliest_first(tmp_path):
    one = judged(*(CASES[case][:2] for case in ("a wrong category",)))
    files = [ImageFile(file.name, write_picture(tmp_path / file.name, SIZE)) for file in one.files]
    one = Judged(one.images, files, one.judges, one.notes)
    page = build_page(one, find_label_errors(one.images), 0.5, "my run", [])
    assert page.figures[0].value == "1"
    assert [page.shown.cases[number].text.partition(" · ")[2] for number in page.shown.galleries["wrong_category"]] == [
        "labelled car, found as dog"
    ]
    assert "All were judged." in render(page)
