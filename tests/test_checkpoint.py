"""Checkpoints are whole or absent, and say what is wrong with them."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from instseg import __version__
from instseg.categories import Categories
from instseg.checkpoint import (
    FORMAT,
    AtomicCheckpointIO,
    DescribeCheckpoint,
    check_resumable,
    load_checkpoint,
    load_trained_model,
)
from instseg.errors import InstsegError
from instseg.models.mask_rcnn import build_mask_rcnn

CATEGORIES = Categories(("car", "person"))
SMALL = {
    "backbone": "resnet18", "weights": "none", "norm": "gn", "fpn_channels": 32, "box": {"head_channels": 32},
    "mask": {"channels": 32, "num_convs": 1},
}  # fmt: skip
CONFIG = {"model": {"_target_": "instseg.models.mask_rcnn.build_mask_rcnn", **SMALL},
          "augmentation": {"min_size": 100, "max_size": 200, "train": {}}}  # fmt: skip


TRAINER = SimpleNamespace(
    callback_metrics={"val/segm_map": torch.tensor(0.5), "val/segm_map/dog": torch.tensor(torch.nan)}
)


def write_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    model = build_mask_rcnn(CATEGORIES, **SMALL)
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    checkpoint = {"state_dict": weights}
    DescribeCheckpoint(CATEGORIES, CONFIG).on_save_checkpoint(TRAINER, None, checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    return weights


def test_a_checkpoint_rebuilds_its_model_with_categories_and_sizes(tmp_path):
    weights = write_checkpoint(tmp_path / "best.ckpt")
    trained = load_trained_model(tmp_path / "best.ckpt")
    assert trained.categories == CATEGORIES
    assert (trained.min_size, trained.max_size) == (100, 200)
    assert not trained.model.training
    for name, value in trained.model.state_dict().items():
        torch.testing.assert_close(value, weights[f"model.{name}"])


def test_a_trained_model_knows_its_run_epoch_and_how_good_it_was(tmp_path):
    path = tmp_path / "signs_r18fpn/2026-01-31_12-00-00/checkpoints/best.ckpt"
    config = {**CONFIG, "run_dir": str(path.parents[1]), "monitor": {"metric": "val/segm_map"}}
    model = build_mask_rcnn(CATEGORIES, **SMALL)
    checkpoint = {
        "state_dict": {f"model.{name}": value for name, value in model.state_dict().items()},
        "epoch": 3,
        "global_step": 40,
    }
    DescribeCheckpoint(CATEGORIES, config).on_save_checkpoint(TRAINER, None, checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    assert load_trained_model(path).identity == {
        "checkpoint": str(path),
        "run": "signs_r18fpn/2026-01-31_12-00-00",
        "epoch": 3,
        "step": 40,
        "metrics": {"val/segm_map": 0.5},
        "trained_with": __version__,
    }


def test_a_failed_write_leaves_the_checkpoint_before_it_untouched(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    def disk_full(content, file):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", disk_full)
    with pytest.raises(OSError, match="No space left"):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_cut_off_checkpoint_is_named_with_its_size(tmp_path):
    write_checkpoint(tmp_path / "best.ckpt")
    (tmp_path / "cut.ckpt").write_bytes((tmp_path / "best.ckpt").read_bytes()[:1000])
    with pytest.raises(InstsegError, match=r"cut\.ckpt \(1000 bytes\) cannot be read"):
        load_checkpoint(tmp_path / "cut.ckpt")


def test_what_is_no_checkpoint_of_ours_is_refused_with_the_way_out(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "plain.pth")
    with pytest.raises(InstsegError, match=r"no checkpoint of instseg.*model\.weights="):
        load_checkpoint(tmp_path / "plain.pth")
    with pytest.raises(InstsegError, match="no such file"):
        load_checkpoint(tmp_path / "nothing.ckpt")


def test_a_checkpoint_of_a_later_version_asks_for_an_update(tmp_path):
    torch.save({"instseg": {"format": FORMAT + 1, "version": "99.0"}}, tmp_path / "later.ckpt")
    with pytest.raises(InstsegError, match=r"written by instseg 99\.0"):
        load_checkpoint(tmp_path / "later.ckpt")


def test_resuming_with_other_categories_prints_the_difference():
    saved = {"instseg": {"categories": ["car", "dog"], "config": CONFIG}}
    with pytest.raises(InstsegError, match="only in checkpoint: dog; only in dataset: person"):
        DescribeCheckpoint(CATEGORIES, CONFIG).on_load_checkpoint(None, None, saved)


def test_resuming_with_another_network_names_the_differing_options():
    saved = {"instseg": {"categories": list(CATEGORIES.names), "config": CONFIG}}
    other = {"model": {**CONFIG["model"], "backbone": "resnet50"}}
    with pytest.raises(InstsegError, match=r"model\.backbone: resnet18 in the checkpoint, resnet50 now"):
        check_resumable(saved, CATEGORIES, other)


def test_a_checkpoint_remembers_what_it_was_measured_at(tmp_path):
    write_checkpoint(tmp_path / "best.ckpt")
    assert load_checkpoint(tmp_path / "best.ckpt")["instseg"]["metrics"] == {"val/segm_map": 0.5}


def test_prediction_options_may_change_after_training_and_others_may_not(tmp_path):
    write_checkpoint(tmp_path / "best.ckpt")
    trained = load_trained_model(tmp_path / "best.ckpt", {"box.detections_per_image": 300, "fpn_channels": 32})
    assert trained.model.roi_heads.detections_per_img == 300
    with pytest.raises(InstsegError, match=r"model\.fpn_channels=64: the checkpoint was trained with 32"):
        load_trained_model(tmp_path / "best.ckpt", {"fpn_channels": 64})
