"""A checkpoint rebuilds its model alone, and knows where it comes from."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from instseg import __version__
from instseg.checkpoints.content import DescribeCheckpoint, load_trained_model
from instseg.checkpoints.files import FORMAT, AtomicCheckpointIO
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
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


def test_a_checkpoint_remembers_what_it_was_measured_at(tmp_path):
    write_checkpoint(tmp_path / "best.ckpt")
    about = torch.load(tmp_path / "best.ckpt", weights_only=True)["instseg"]
    assert (about["format"], about["metrics"]) == (FORMAT, {"val/segm_map": 0.5})


def test_prediction_options_may_change_after_training_and_others_may_not(tmp_path):
    write_checkpoint(tmp_path / "best.ckpt")
    trained = load_trained_model(tmp_path / "best.ckpt", {"box.detections_per_image": 300, "fpn_channels": 32})
    assert trained.model.roi_heads.detections_per_img == 300
    with pytest.raises(InstsegError, match=r"model\.fpn_channels=64: the checkpoint was trained with 32"):
        load_trained_model(tmp_path / "best.ckpt", {"fpn_channels": 64})
