"""Two runs on the same images: which is better, by how much, and whether it may be chance."""

import re

import numpy as np
import pytest
from detections import CATEGORIES, LEFT, RIGHT, prediction, truth

from instseg.app.compare import compare as run_compare
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.image_results import FILE_NAME, ImageResults, write_image_results
from instseg.evaluation.intervals import draw, interval
from instseg.sweeps.comparison import Difference, compare, on_common_images

NUM_IMAGES = 20
NAMES = [f"photo_{i}.jpg" for i in range(NUM_IMAGES)]


def results(num_found, names=NAMES, categories=CATEGORIES, labels=None):
    """A car on each image, found on the first so many."""
    records = [
        ImageRecord.build(
            prediction(i, [LEFT if i < num_found else RIGHT], labels=labels), truth(i, [LEFT], labels=labels)
        )
        for i in range(len(names))
    ]
    return ImageResults(records, list(names), categories)


def test_a_run_that_finds_more_is_better_and_the_interval_says_so():
    difference = compare(results(18), results(6), "segm_map")
    assert difference.value == pytest.approx(difference.one - difference.other)
    assert 0 < difference.low < difference.value < difference.high < 1
    assert difference.is_clear
    assert re.fullmatch(r"better by 0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", str(difference))


def test_the_other_way_round_it_is_worse_by_as_much():
    one, other = compare(results(18), results(6), "segm_map"), compare(results(6), results(18), "segm_map")
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert str(other) == str(one).replace("better", "worse")


def test_an_interval_that_holds_zero_is_not_clear():
    assert not compare(results(11), results(10), "segm_map").is_clear
    assert str(Difference(0.412, 0.391, -0.004, 0.039, 30)) == "better by 0.021 (-0.004 to 0.039)"


def test_a_run_is_exactly_equal_to_itself():
    assert str(compare(results(7), results(7), "segm_map_50")) == "exactly equal"


def test_the_interval_of_a_mean_is_students():
    """Of a mean the expanded percentiles should be what the textbook says."""
    values = np.random.default_rng(0).normal(size=12)
    means = draw(12, 40_000) @ values / 12
    half = 2.201 * values.std(ddof=1) / np.sqrt(12)  # t of 11 degrees of freedom
    low, high = interval(means, 12)
    assert (high - low) / 2 == pytest.approx(half, rel=0.04)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            results(5, names=[*NAMES[:-1], "another.jpg"]),
            "only one run on 1: photo_19.jpg; only the other on 1: another",
        ),
        (results(5, categories=Categories(("car", "cat", "cake"))), "only in one run: dog; only in the other: cat"),
        (results(5, labels=[2]), "the labels of photo_0.jpg are not the same in both runs"),
    ],
)
def test_runs_on_other_images_categories_or_labels_are_refused_with_the_difference(other, message):
    with pytest.raises(InstsegError, match=re.escape(message)):
        compare(results(5), other, "segm_map")


def test_two_images_are_too_few():
    with pytest.raises(InstsegError, match=r"2 test images: too few for a comparison, expected 3 or more"):
        compare(results(1, NAMES[:2]), results(2, NAMES[:2]), "segm_map")


def test_the_command_takes_two_run_folders(tmp_path, capsys):
    for name, found in (("a", 18), ("b", 6)):
        write_image_results(tmp_path / name / FILE_NAME, results(found))
    run_compare([str(tmp_path / "a"), str(tmp_path / "b"), "metric=segm_map/car"])
    printed = capsys.readouterr().out
    assert f"{tmp_path / 'a'} against {tmp_path / 'b'}: better by 0." in printed
    assert "on the same 20 test images" in printed
    assert "no page: no test_masks.npz in" in printed and "instseg report checkpoint=" in printed


def test_on_common_images_runs_on_others_are_compared_as_well():
    more = results(6, names=["another.jpg", *NAMES[1:]])
    one, other = on_common_images([results(18), more])
    assert one.file_names == other.file_names == NAMES[1:]
    assert compare(one, other, "segm_map").num_images == NUM_IMAGES - 1
    with pytest.raises(InstsegError, match="no image in common"):
        on_common_images([results(18), results(6, names=[f"x{name}" for name in NAMES])])


def test_a_run_that_was_never_tested_is_refused_with_the_command_that_tests_it(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(InstsegError, match=rf"instseg test checkpoint={re.escape(str(tmp_path / 'a'))}"):
        run_compare([str(tmp_path / "a"), str(tmp_path / "a")])
