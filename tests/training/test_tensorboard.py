"""TensorBoard opens on average precision and losses, and tells runs apart by their settings."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from instseg.training.tensorboard import OVERVIEW, TensorBoard, add_jpeg, read_scalars
from instseg.visualization.jpeg import encode_jpeg


def test_the_first_group_of_curves_holds_average_precision_and_losses(tmp_path):
    logger = TensorBoard(tmp_path)
    logger.log_metrics({"train/loss": 2.0, "epoch": 0, "images_per_second": 9.0, "lr": 0.1}, step=3)
    logger.log_metrics({"val/segm_map": 0.5, "val/segm_map_75": 0.2, "epoch": 0}, step=4)
    logger.finalize("success")
    scalars = read_scalars(tmp_path)
    groups = sorted({name.partition("/")[0] for name in scalars})
    assert groups == [OVERVIEW, "images_per_second", "lr", "train", "val"]
    assert scalars[f"{OVERVIEW}/val mask AP"] == scalars["val/segm_map"] == ([4], [0.5])
    assert scalars[f"{OVERVIEW}/train loss"] == scalars["train/loss"]


def test_a_resumed_run_shows_the_settings_of_now(tmp_path):
    for lr in (0.01, 0.002):
        logger = TensorBoard(tmp_path)
        logger.log_hyperparams({"optimizer.lr": lr})
        logger.log_metrics({"lr": lr}, step=1)
        logger.save()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    shown = HParamsPluginData.FromString(content).session_start_info.hparams["optimizer.lr"]
    assert shown.number_value == 0.002
    assert [point.value for point in events.Scalars("lr")] == pytest.approx([0.01, 0.002]), "in the order of the files"
    assert (tmp_path / "hparams.yaml").read_text() == "optimizer.lr: 0.002\n"


def test_settings_fill_the_hparams_tab_and_a_picture_is_a_jpeg(tmp_path):
    logger, picture = TensorBoard(tmp_path), np.full((40, 60, 3), 200, np.uint8)
    logger.log_hyperparams({"optimizer.lr": 0.01, "model.weights": None})
    add_jpeg(logger.experiment, "val/predictions/00", picture, encode_jpeg(picture), 7)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0})
    events.Reload()
    assert events.summary_metadata["_hparams_/session_start_info"].plugin_data.plugin_name == "hparams"
    assert events.summary_metadata["_hparams_/experiment"].plugin_data.plugin_name == "hparams"
    (shown,) = events.Images("val/predictions/00")
    with Image.open(io.BytesIO(shown.encoded_image_string)) as opened:
        assert (opened.format, opened.size) == ("JPEG", (60, 40))
