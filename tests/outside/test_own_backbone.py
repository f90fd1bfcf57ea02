"""A backbone from outside the package, one file on the path and one yaml, with the commands that a user types."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typed_commands import OUTSIDE, QUICK, Command, with_own_files


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("backbone")


@pytest.fixture(scope="module")
def trained(place) -> Path:
    """The folder of a training of one epoch, with a narrower backbone than the yaml says."""
    return (
        with_own_files(
            *("train.py", "model=tiny_backbone", "model.backbone.width=8", *QUICK, "batch_size=2"),
            *("dataset.num_images={train: 4, val: 2, test: 2}", "trainer.max_epochs=1", "trainer.accelerator=cpu"),
            *(f"outputs={place}/outputs", f"cache_dir={place}/data"),
        )
        .succeed()
        .last_line
    )


def test_mask_rcnn_is_trained_and_tested_on_it(trained):
    assert {"val/loss_mask", "test/segm_map"} <= json.loads((trained / "metrics.json").read_text()).keys()
    weights = torch.load(trained / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    assert weights["model.backbone.body.stages.3.0.weight"].shape == (64, 32, 3, 3)
    assert weights["model.backbone.fpn.inner_blocks.3.0.weight"].shape[1] == 64


@pytest.mark.slow
def test_it_resumes(trained):
    with_own_files("train.py", f"resume={trained}", "trainer.max_epochs=2").succeed()
    assert torch.load(trained / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 1


@pytest.mark.slow
def test_it_is_measured_again_from_its_checkpoint(trained, place):
    with_own_files("train.py", "stage=test", f"checkpoint={trained}", f"outputs={place}/again").succeed()


def test_it_predicts(trained, place):
    options = [f"checkpoint={trained}", f"source={place}/data", "limit=2", "device=cpu"]
    with_own_files("predict.py", *options, f"output={place}/out", "model.box.score_threshold=0.1").succeed()
    assert (place / "out/predictions.json").is_file()


@pytest.mark.parametrize(
    ("option", "message"),
    [("model.backbone._target_=torch.nn.Identity", "found Identity without channels and strides"),
     ("+model.backbone.depth=2", "model.backbone.depth: there is no such key"),
     ("model.backbone=tiny", "model.backbone='tiny' is not known; choose one of resnet18_half"),
     ("model.weights=coco", "model.weights: expected none, or the path")],
)  # fmt: skip
def test_what_does_not_fit_is_an_error_before_any_work(place, option, message):
    ended = with_own_files(
        "train.py", "model=tiny_backbone", option, f"outputs={place}/none", f"cache_dir={place}/none"
    ).wait()
    assert ended.code != 0 and message in ended.output, ended.output[-2000:]
    assert not list((place / "none").rglob("*.json"))


def test_without_its_conf_folder_its_checkpoint_is_refused_with_the_way_to_name_it(trained, place):
    options = [f"checkpoint={trained}", f"source={place}/data", f"output={place}/none"]
    ended = Command(options, {"PYTHONPATH": str(OUTSIDE)}, script="predict.py").wait()
    assert ended.code != 0 and "built by tiny_backbone.TinyBackbone, which is not known here" in ended.output
    assert "--config-dir=FOLDER" in ended.output
