"""A network from outside the package, one file on the path and one yaml, with the commands that a user types."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from typed_commands import QUICK_FOR_ANY_NETWORK, Command, with_own_files

from instseg.data.builtin.shapes_drawing import CATEGORIES


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("network")


@pytest.fixture(scope="module")
def trained(place) -> Path:
    """The folder of a training of six epochs."""
    return (
        with_own_files(
            *("train.py", "model=toy", *QUICK_FOR_ANY_NETWORK),
            *("dataset.num_images={train: 16, val: 4, test: 4}", "batch_size=4"),
            *(
                "trainer.max_epochs=6",
                "trainer.accelerator=cpu",
                f"outputs={place}/outputs",
                f"cache_dir={place}/data",
            ),
        )
        .succeed()
        .last_line
    )


def test_it_trains_is_validated_and_tested_with_losses_of_its_own_names(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    assert {
        "train/loss_pixels",
        "val/loss_pixels",
        "val/loss_size",
        "test/loss_size",
        "test/segm_map",
    } <= metrics.keys()
    assert not any("rpn" in name for name in metrics)
    assert metrics["val/loss_pixels"] < math.log(len(CATEGORIES) + 1), "it has learnt more than to guess"


@pytest.mark.slow
def test_it_resumes(trained):
    with_own_files("train.py", f"resume={trained}", "trainer.max_epochs=7").succeed()
    assert torch.load(trained / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 6


@pytest.mark.slow
def test_it_is_measured_again_from_its_checkpoint(trained, place):
    with_own_files("train.py", "stage=test", f"checkpoint={trained}", f"outputs={place}/again").succeed()


def test_it_predicts_with_an_option_that_may_change_after_training(trained, place):
    options = [f"checkpoint={trained}", f"source={place}/data", "limit=2", "device=cpu", "model=toy"]
    with_own_files(
        "predict.py", *options, f"output={place}/out", "model.score_threshold=0.3", "score_threshold=0.1"
    ).succeed()
    assert (place / "out/predictions.json").is_file()


@pytest.mark.parametrize(
    ("script", "option", "message"),
    [("train.py", "+model.box.score_threshold=0.1", "model.box: there is no such key"),
     ("predict.py", "model.box.score_threshold=0.1", "model.box is no option; model has channels, score_threshold")],
)  # fmt: skip
def test_an_option_that_it_lacks_is_an_error_before_any_work(trained, place, script, option, message):
    predicts = [f"checkpoint={trained}", f"source={place}/data", f"output={place}/none"]
    ended = with_own_files(
        script, option, *(predicts if script == "predict.py" else ["model=toy", f"outputs={place}/none"])
    ).wait()
    assert ended.code != 0 and message in ended.output, ended.output[-2000:]
    assert not list((place / "none").rglob("*.ckpt")) and not (place / "none/predictions.json").exists()


def test_without_its_conf_folder_its_checkpoint_is_refused_with_the_way_to_name_it(trained, place):
    options = [f"checkpoint={trained}", f"source={place}/data", f"output={place}/none"]
    ended = Command(options, script="predict.py").wait()
    assert ended.code != 0 and "built by toy_segmenter.ToySegmenter, which is not known here" in ended.output
    assert "--config-dir=FOLDER" in ended.output
