"""Each option of conf/sweep, composed and swept with a made-up training."""

from sweeping import swept


def test_a_learning_curve_trains_on_parts_of_the_images_for_equally_many_steps(tmp_path, capsys):
    seen = []

    def train(config):
        seen.append((config.train_fraction, config.trainer.max_epochs, config.trainer.check_val_every_n_epoch))
        return config.train_fraction / 2

    swept(tmp_path, train, "sweep=learning_curve", "trainer.max_epochs=6")
    assert seen == [(0.25, 24, 4), (0.5, 12, 2), (1, 6, 1)]
    assert (
        "this may be chance. Whether more images like these would help cannot be told yet." in capsys.readouterr().out
    )


def test_folds_are_those_of_the_dataset_and_models_are_swept_beside_them(tmp_path, capsys):
    seen = []

    def train(config):
        seen.append((config.dataset.folds, config.dataset.fold))
        return 0.4 + config.dataset.fold / 100

    folder = swept(
        tmp_path, train, "sweep=kfold", "sweep.folds=2", "dataset=labelme", "dataset.root=x", "model=small,r18fpn"
    )
    assert seen == [(2, 0), (2, 1)] * 2
    assert "model=r18fpn: mean val/segm_map over the folds: 0.405 (0.341 to 0.469, n=2)" in capsys.readouterr().out
    assert folder.read_info().values == ["model", "fold"]


def test_an_ablation_takes_the_transforms_of_the_chosen_augmentation(tmp_path, capsys):
    def train(config):
        named = config.augmentation.train
        return 0.1 * sum(named[key] is not None for key in named) + 0.05 * (config.augmentation.copy_paste is not None)

    folder = swept(tmp_path, train, "sweep=ablation", "augmentation=strong")
    labels = [record.values["augmentation"] for record in folder.records()]
    assert labels[0] == "all" and labels[-1] == "none" and {"without affine", "without copy_paste"} < set(labels)
    printed = capsys.readouterr().out
    assert "without affine: val/segm_map worse by 0.100" in printed
    assert "without copy_paste: val/segm_map worse by 0.050" in printed


def test_a_search_resumes_where_it_was_interrupted_and_can_be_made_longer(tmp_path):
    seen = []

    def train(config):
        seen.append(config.optimizer.lr)
        return -abs(config.optimizer.lr - 0.01)

    space = ("sweep=optuna", "optimizer.lr=tag(log,interval(1e-4,1))")
    swept(tmp_path, train, *space, "sweep.num_trials=3")
    folder = swept(tmp_path, train, *space, "sweep.num_trials=5")
    assert len(seen) == len(folder.records()) == 5
    assert len(set(seen)) == 5 and all(1e-4 <= lr <= 1 for lr in seen)
