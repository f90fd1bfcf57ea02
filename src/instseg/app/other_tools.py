"""Keys that people know from other tools, and what is typed here in their place."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from instseg.core.command_line import typed_command
from instseg.core.overrides import quoted

SIZES = "min_size=640 and {0}max_size=1066, the shorter and the longer side in px"
OF_TRAIN: Mapping[str, str] = {
    **dict.fromkeys(("epochs", "max_epochs"), "trainer.max_epochs=10"),
    **dict.fromkeys(("max_iter", "steps"), "trainer.max_steps=1000"),
    "lr0": "optimizer.lr=0.001",
    "batch": "batch_size=2",
    "workers": "num_workers=4",
    "data": "dataset.root=FOLDER with dataset=auto: the folder of the labels, in any format",
    **dict.fromkeys(("imgsz", "img_size"), "augmentation." + SIZES.format("augmentation.")),
    **dict.fromkeys(("device", "gpus"), "trainer.devices=2 with trainer=gpu, or trainer=cpu"),
    **dict.fromkeys(("weights", "pretrained"), "model.weights=coco, none, a .ckpt, or a run folder"),
    "freeze": "model.trainable_layers=3, the stages of the backbone that are trained",
    "patience": "callbacks.early_stopping.patience=10 with callbacks=early_stopping",
    "amp": "trainer.precision=bf16-mixed, or 16-mixed on a GPU",
    "conf": "model.box.score_threshold=0.05",
    "iou": "model.box.nms_threshold=0.5",
    "max_det": "model.box.detections_per_image=100",
    **dict.fromkeys(("project", "name", "save_dir"), "outputs=FOLDER, in which every run makes a folder of its own"),
}
OF_PREDICT: Mapping[str, str] = {
    **dict.fromkeys(("conf", "min_score", "threshold"), "score_threshold=0.5"),
    "iou": "model.box.nms_threshold=0.5",
    "max_det": "model.box.detections_per_image=100",
    **dict.fromkeys(("imgsz", "img_size"), SIZES.format("")),
    "batch": "batch_size=2",
    "workers": "nothing: images are read by as many threads as the machine has use for",
    "classes": "categories=[car,person]",
    **dict.fromkeys(("project", "name", "save_dir", "out"), "output=FOLDER"),
    "save_txt": "save=[yolo]",
    **dict.fromkeys(("data", "input", "images"), "source=FOLDER, the images"),
}
OF_OTHER_TOOLS: Mapping[str, Mapping[str, str]] = {"train": OF_TRAIN, "predict": OF_PREDICT}
"""Command -> key -> what to type."""


def instead_of_option(config_name: str, group: str, option: str) -> str:
    """Say what to type in place of an option that is a file of weights, or a folder; empty where it is neither.

    Args:
        config_name: train or predict.
        group: of the config.
        option: that there is not.
    """
    if group == "model" and Path(option).suffix in (".ckpt", ".pt", ".pth"):
        key = "checkpoint" if config_name == "predict" else "model.weights"
        return f"For a file of weights: {shlex.quote(f'{key}={option}')}"
    if group == "dataset" and Path(option).expanduser().exists():
        root = shlex.quote(quoted("dataset.root", option))
        return f"For a folder of labels: {typed_command('train')} dataset=auto {root}"
    return ""
