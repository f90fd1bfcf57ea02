"""What a change brings: several pairs of jobs have a spread of their own, one pair has its test images."""

import pytest
from detections import CATEGORIES, LEFT, RIGHT, prediction, truth
from sweeping import info, record

from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.image_results import FILE_NAME, ImageResults, write_image_results
from instseg.sweeps.ablation import Ablation
from instseg.sweeps.changes import change, paired
from instseg.sweeps.kfold import KFold
from instseg.sweeps.learning_curve import LearningCurve


def run_that_found(folder, num_found):
    """The run folder of a job that was tested on 20 images with a car each and has found so many."""
    records = [
        ImageRecord.build(prediction(i, [LEFT if i < num_found else RIGHT]), truth(i, [LEFT])) for i in range(20)
    ]
    names = [f"photo_{i}.jpg" for i in range(20)]
    write_image_results(folder / FILE_NAME, ImageResults(records, names, CATEGORIES))
    return str(folder)


def test_jobs_are_paired_where_all_else_is_equal_and_both_are_measured():
    new = [record(i, {"aug": "flip", "seed": i}, 0.5) for i in range(3)]
    old = [
        record(3, {"aug": "none", "seed": 0}, 0.4),
        record(4, {"aug": "none", "seed": 1}, state="failed"),
        record(5, {"aug": "none", "seed": 2}, 0.3),
    ]
    assert [(a.number, b.number) for a, b in paired(new, old, "aug")] == [(0, 3), (2, 5)]


@pytest.mark.parametrize(("mode", "said"), [("max", "worse by 0.100 ("), ("min", "better by 0.100 (")])
def test_several_pairs_give_a_mean_and_its_interval_in_the_direction_of_the_metric(mode, said):
    gains = (-0.05, -0.10, -0.15)
    pairs = [(record(i, {}, 0.5 + gain), record(9 + i, {}, 0.5)) for i, gain in enumerate(gains)]
    found = change(pairs, info(mode=mode))
    assert said in found.text and found.text.endswith("(-0.024 to 0.224, n=3)")  # 4.303 * 0.05 / sqrt(3) around 0.1
    assert not found.is_clear


def test_of_several_comparisons_each_has_an_interval_wide_enough_for_all_of_them():
    pairs = [(record(i, {}, 0.5 + gain), record(9 + i, {}, 0.5)) for i, gain in enumerate((0.05, 0.10, 0.15))]
    assert change(pairs, info(), comparisons=10).text.endswith("(-0.307 to 0.507, n=3)")  # 14.09 * 0.05 / sqrt(3)


def test_of_one_pair_the_test_images_say_how_sure_it_is(tmp_path):
    new = record(0, {}, 0.9, run_dir=run_that_found(tmp_path / "new", 18))
    old = record(1, {}, 0.4, run_dir=run_that_found(tmp_path / "old", 6))
    found = change([(new, old)], info())
    assert found.text.startswith("val/segm_map better by 0.500; on test better by 0.") and found.is_clear


def test_the_test_images_alone_are_asked_more_of_where_there_are_more_comparisons(tmp_path):
    new = record(0, {}, 0.9, run_dir=run_that_found(tmp_path / "new", 12))
    old = record(1, {}, 0.4, run_dir=run_that_found(tmp_path / "old", 6))
    one, ten = (change([(new, old)], info(), number) for number in (1, 10))
    assert one.gain == ten.gain and ten.low < one.low and one.high < ten.high


def test_an_ablation_of_one_training_each_speaks_of_the_test_images_alone(tmp_path):
    found = {"all": 18, "without flip": 2, "none": 17}
    records = [
        record(i, {"augmentation": label}, 0.5, run_dir=run_that_found(tmp_path / label, number))
        for i, (label, number) in enumerate(found.items())
    ]
    first, *_, verdict = Ablation().report(records, info(), tmp_path)
    assert first == "Against the full set of augmentations (intervals of 95% for all 2 together):"
    assert verdict.startswith("Beyond chance on these test images, where another training may differ: without flip. ")


def test_a_pair_that_was_not_tested_is_never_clear():
    found = change([(record(0, {}, 0.9, run_dir="/nowhere"), record(1, {}, 0.4, run_dir="/nowhere"))], info())
    assert "not compared on test images" in found.text and not found.is_clear


@pytest.mark.parametrize(
    ("found_with_all", "verdict"),
    [
        (18, "Beyond chance on these test images; another training of each may differ. It was still rising"),
        (8, "The interval holds 0: this may be chance. Whether more images like these would help cannot be told yet"),
    ],
)
def test_more_photos_are_recommended_as_surely_as_the_test_images_allow(found_with_all, verdict, tmp_path):
    records = [
        record(0, {"train_fraction": 0.5}, 0.3, run_dir=run_that_found(tmp_path / "half", 6)),
        record(1, {"train_fraction": 1}, 0.4, run_dir=run_that_found(tmp_path / "all", found_with_all)),
    ]
    line, _ = LearningCurve([0.5, 1]).report(records, info(), tmp_path)
    assert verdict in line


def test_a_learning_curve_at_zero_says_nothing_of_the_photos(tmp_path):
    records = [record(i, {"train_fraction": share}, 0.001) for i, share in enumerate((0.5, 1))]
    line, _ = LearningCurve([0.5, 1]).report(records, info(), tmp_path)
    assert "Nothing was learnt" in line and "levelled off" not in line


def test_seeds_make_one_learning_curve_of_means_with_the_interval_between_them(tmp_path):
    metrics = {(0.5, 0): 0.30, (0.5, 1): 0.32, (0.5, 2): 0.31, (1, 0): 0.40, (1, 1): 0.42, (1, 2): 0.42}
    records = [
        record(i, {"seed": seed, "train_fraction": share}, m) for i, ((share, seed), m) in enumerate(metrics.items())
    ]
    line, _ = LearningCurve([0.5, 1]).report(records, info(), tmp_path)
    assert (
        "0.310 with 50%, 0.413 with 100%" in line and "still rising: more images like these are likely to help" in line
    )
    assert "better by 0.103 (0.089 to 0.118, n=3)" in line


def test_two_models_are_compared_fold_by_fold(tmp_path):
    metrics = {("a", 0): 0.30, ("a", 1): 0.50, ("a", 2): 0.70, ("b", 0): 0.35, ("b", 1): 0.56, ("b", 2): 0.75}
    records = [record(i, {"model": m, "fold": f}, metric) for i, ((m, f), metric) in enumerate(metrics.items())]
    *means, line, _caution, _next_step = KFold(3).report(records, info(values=["model", "fold"]), tmp_path)
    assert len(means) == 2
    better = "val/segm_map better by 0.053 (0.039 to 0.068, n=3). Beyond chance."
    assert line == f"On the same folds, model=b against model=a: {better}"
