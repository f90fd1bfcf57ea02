"""What each kind of sweep tries, and what it says of the results."""

import math

import pytest
from sweeping import info, record

from instseg.core.errors import InstsegError
from instseg.sweeps.ablation import Ablation
from instseg.sweeps.groups import mean_interval
from instseg.sweeps.kfold import KFold
from instseg.sweeps.learning_curve import LearningCurve
from instseg.sweeps.strategy import Context, Grid, Space

FLIP, BLUR, PASTE = {"p": 0.5}, {"p": 0.1}, {"probability": 0.5}


def begun(strategy, space, tmp_path, **settings):
    """All jobs of a strategy in a config with these settings; dots are written as __."""
    known = {key.replace("__", "."): value for key, value in settings.items()}
    strategy.begin(space, Context(info(), tmp_path, lambda overrides: known.get), (), False)
    return strategy.ask(1)


def test_a_grid_is_every_choice_with_every_other(tmp_path):
    space = Space(("seed=3",), {"model": ("a", "b"), "optimizer.lr": ("1", "2")})
    jobs = begun(Grid(), space, tmp_path)
    assert [dict(job.values) for job in jobs] == [{"model": model, "optimizer.lr": lr} for model in "ab" for lr in "12"]
    assert jobs[1].overrides == ("seed=3", "model=a", "optimizer.lr=2")
    assert [job.number for job in jobs] == [0, 1, 2, 3]


def test_a_learning_curve_trains_on_parts_for_equally_many_steps(tmp_path):
    settings = {"trainer__max_epochs": 10, "trainer__check_val_every_n_epoch": 1}
    quarter, whole = begun(LearningCurve([0.25, 1.0]), Space(), tmp_path, **settings)
    assert quarter.overrides == ("train_fraction=0.25", "trainer.max_epochs=40", "trainer.check_val_every_n_epoch=4")
    assert whole.overrides == ("train_fraction=1",)
    unchanged, _ = begun(LearningCurve([0.25, 1.0], same_steps=False), Space(), tmp_path, **settings)
    assert unchanged.overrides == ("train_fraction=0.25",)


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((0.08, 0.09, 0.10), "Beyond chance. It was still rising: more images like these are likely to help."),
        ((0.003, 0.004, 0.005), "It has levelled off"),
        ((-0.08, -0.09, -0.10), "Beyond chance. It fell"),
        ((-0.08, 0.0, 0.10), "this may be chance. Whether more images like these would help cannot be told yet."),
    ],
)
def test_a_learning_curve_says_whether_more_photos_would_help_and_draws_it(gains, verdict, tmp_path):
    metrics = {
        (part, seed): m for seed, gain in enumerate(gains) for part, m in ((0.25, 0.2), (0.5, 0.3), (1, 0.3 + gain))
    }
    records = [record(i, {"train_fraction": s, "seed": seed}, m) for i, ((s, seed), m) in enumerate(metrics.items())]
    line, where = LearningCurve([0.25, 0.5, 1]).report(records, info(), tmp_path)
    assert verdict in line and "0.200 with 25%" in line
    assert where.endswith("learning_curve.png") and (tmp_path / "learning_curve.png").stat().st_size > 5000


def test_every_fold_is_a_job_beside_what_was_typed(tmp_path):
    jobs = begun(KFold(3), Space((), {"model": ("a", "b")}), tmp_path, dataset={"folds": None})
    assert [dict(job.values) for job in jobs] == [{"model": m, "fold": str(f)} for m in "ab" for f in range(3)]
    assert jobs[1].overrides == ("model=a", "dataset.folds=3", "dataset.fold=1")


def test_a_dataset_that_cannot_be_divided_is_named(tmp_path):
    with pytest.raises(InstsegError, match="dataset=shapes cannot be divided into folds"):
        begun(KFold(), Space(), tmp_path, dataset={"name": "shapes"}, dataset__name="shapes")


def test_folds_are_summed_up_by_mean_and_students_interval(tmp_path):
    records = [record(fold, {"fold": fold}, metric) for fold, metric in enumerate((0.3, 0.4, 0.5))]
    line, caution, next_step = KFold(3).report(records, info(), tmp_path)
    assert caution.startswith("The folds share training images")
    assert f"label-errors checkpoint={tmp_path}" in next_step
    assert "0.400 (0.152 to 0.648, n=3)" in line  # 4.303 * 0.1 / sqrt(3)
    line, *_ = KFold(3).report([*records[:1], record(1, {"fold": 1}, state="failed")], info(), tmp_path)
    assert "0.300 (n=1, so no interval)" in line and "missing: 2 of 3 folds" in line


def test_the_mean_of_one_value_has_no_interval():
    mean, half = mean_interval([0.5])
    assert mean == 0.5 and math.isnan(half)


def test_an_ablation_leaves_out_each_transform_in_turn_and_all(tmp_path):
    augmentation = {"train": {"flip": FLIP, "blur": BLUR, "gone": None}, "copy_paste": PASTE}
    jobs = begun(Ablation(), Space(), tmp_path, augmentation=augmentation)
    assert {job.values["augmentation"]: job.overrides for job in jobs} == {
        "all": (),
        "without flip": ("augmentation.train.flip=null",),
        "without blur": ("augmentation.train.blur=null",),
        "without copy_paste": ("augmentation.copy_paste=null",),
        "none": ("augmentation.train.flip=null", "augmentation.train.blur=null", "augmentation.copy_paste=null"),
    }


def test_an_ablation_pairs_the_same_seeds(tmp_path):
    metrics = {("all", 0): 0.5, ("all", 1): 0.6, ("none", 0): 0.4, ("none", 1): 0.48}
    records = [
        record(i, {"seed": seed, "augmentation": label}, metric)
        for i, ((label, seed), metric) in enumerate(metrics.items())
    ]
    _, line, verdict = Ablation().report(records, info(), tmp_path)
    assert line.startswith("none: val/segm_map worse by 0.110 (")
    assert line.endswith(", n=2)")
    assert verdict.startswith("None of these is beyond chance")  # two pairs, with 0.1 and 0.12, leave a wide interval


def test_an_augmentation_without_transforms_has_nothing_to_leave_out(tmp_path):
    with pytest.raises(InstsegError, match="this augmentation has no transforms"):
        begun(Ablation(), Space(), tmp_path, augmentation={"train": {}, "copy_paste": None})


@pytest.mark.parametrize("fractions", [[1.0], [0.5, 0.25], [0, 1], [0.5, 1.5]])
def test_fractions_that_make_no_curve_are_refused(fractions):
    with pytest.raises(InstsegError, match="expected two or more, ascending"):
        LearningCurve(fractions)
