"""Keys that people know from other tools, and what is typed here in their place.

The command answers with them; the page docs/other_tools.md has the same tables.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from instseg.core.command_line import typed_command
from instseg.core.overrides import quoted

DEVICES = ("device", "gpus")
SIZES = "min_size=640 and {0}max_size=1066, the shorter and the longer side in px"
IMAGE_SIZES = "augmentation." + SIZES.format("augmentation.")
NUM_CLASSES = "nothing: the categories are those of the labels; dataset.categories=[car,person] chooses some"
NUM_DETECTIONS = "model.box.detections_per_image=100"
IOU = "model.box.nms_threshold=0.5"
STAGES = "model.trainable_layers=3, the stages of the backbone that are trained"
RUNS = "outputs=FOLDER, in which every run makes a folder of its own"
SGD_LR = "optimizer.lr=0.0025 with optimizer=sgd, meant for optimizer.base_batch_size=2 images a step"
MIXED = "trainer.precision=bf16-mixed, which auto chooses where the device multiplies in it"

ULTRALYTICS: Mapping[str, str] = {
    "epochs": "trainer.max_epochs=10",
    "lr0": "optimizer.lr=0.001",
    "batch": "batch_size=2",
    "workers": "num_workers=4",
    "data": "dataset.root=FOLDER with dataset=auto: the folder of the labels, in any format",
    "imgsz": IMAGE_SIZES,
    "device": "trainer.devices=2 with trainer=gpu, or trainer=cpu",
    "pretrained": "model.weights=coco, none, a .ckpt, or a run folder",
    "freeze": STAGES,
    "patience": "callbacks.early_stopping.patience=10 with callbacks=early_stopping",
    "amp": MIXED,
    "fraction": "train_fraction=0.25",
    "conf": "model.box.score_threshold=0.05",
    "iou": IOU,
    "max_det": NUM_DETECTIONS,
    **dict.fromkeys(("project", "name", "save_dir"), RUNS),
}
DETECTRON2: Mapping[str, str] = {
    "DATASETS.TRAIN": "dataset.root=FOLDER with dataset=coco",
    "DATALOADER.NUM_WORKERS": "num_workers=4",
    "DATALOADER.FILTER_EMPTY_ANNOTATIONS": "dataset.empty_ratio=0, images without instances per image with some",
    "DATALOADER.REPEAT_THRESHOLD": "repeat_threshold=0.1",
    "INPUT.MIN_SIZE_TRAIN": IMAGE_SIZES,
    "INPUT.MAX_SIZE_TRAIN": IMAGE_SIZES,
    "MODEL.WEIGHTS": "model.weights=coco, imagenet, none, a .ckpt, or a run folder",
    "MODEL.DEVICE": "trainer=cpu, or trainer=gpu",
    "MODEL.BACKBONE.FREEZE_AT": STAGES,
    "MODEL.ANCHOR_GENERATOR.SIZES": "model.anchors.sizes=[32,64,128,256,512], one for each level of the pyramid",
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": "model.anchors.ratios=[0.5,1.0,2.0]",
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": "model.rpn.pre_nms_top_n_train=2000, for each level of the pyramid",
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": "model.rpn.post_nms_top_n_train=2000, for each image",
    "MODEL.ROI_HEADS.NUM_CLASSES": NUM_CLASSES,
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": "model.box.batch_size_per_image=512",
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": "model.box.score_threshold=0.05",
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": IOU,
    "SOLVER.BASE_LR": SGD_LR,
    "SOLVER.IMS_PER_BATCH": "batch_size=2, of each process",
    "SOLVER.MAX_ITER": "trainer.max_steps=1000",
    "SOLVER.STEPS": "scheduler.milestones=[0.7,0.9] with scheduler=warmup_multistep: fractions of the training",
    "SOLVER.GAMMA": "scheduler.gamma=0.1 with scheduler=warmup_multistep",
    "SOLVER.WARMUP_ITERS": "scheduler.warmup_steps=500",
    "SOLVER.WEIGHT_DECAY": "optimizer.weight_decay=1e-4",
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": "trainer.gradient_clip_val=10.0, of the norm of all gradients",
    "SOLVER.CHECKPOINT_PERIOD": "trainer.checkpoint_every_minutes=10, and always after a validation",
    "SOLVER.AMP.ENABLED": MIXED,
    "TEST.EVAL_PERIOD": "trainer.check_val_every_n_epoch=1, or trainer.val_check_interval=500 in batches",
    "TEST.DETECTIONS_PER_IMAGE": NUM_DETECTIONS,
    "OUTPUT_DIR": RUNS,
    "SEED": "seed=0",
}
MMDETECTION: Mapping[str, str] = {
    "train_dataloader.dataset.data_root": "dataset.root=FOLDER with dataset=coco",
    "train_dataloader.dataset.ann_file": "dataset.splits.train.annotations=FILE with dataset=coco",
    "train_dataloader.batch_size": "batch_size=2, of each process",
    "train_dataloader.num_workers": "num_workers=4",
    "metainfo.classes": "dataset.categories=[car,person]",
    "load_from": "model.weights=PATH",
    "model.backbone.frozen_stages": STAGES,
    "model.roi_head.bbox_head.num_classes": NUM_CLASSES,
    "model.test_cfg.rcnn.score_thr": "model.box.score_threshold=0.05",
    "model.test_cfg.rcnn.nms.iou_threshold": IOU,
    "model.test_cfg.rcnn.max_per_img": NUM_DETECTIONS,
    "optim_wrapper.optimizer.lr": SGD_LR,
    "optim_wrapper.optimizer.weight_decay": "optimizer.weight_decay=1e-4",
    "optim_wrapper.clip_grad.max_norm": "trainer.gradient_clip_val=10.0",
    "auto_scale_lr.base_batch_size": "optimizer.base_batch_size=2",
    "train_cfg.max_epochs": "trainer.max_epochs=10",
    "train_cfg.val_interval": "trainer.check_val_every_n_epoch=1",
    "default_hooks.checkpoint.interval": "trainer.checkpoint_every_minutes=10, and always after a validation",
    "randomness.seed": "seed=0",
    "work_dir": RUNS,
}
OF_PREDICT: Mapping[str, str] = {
    **dict.fromkeys(("conf", "min_score", "threshold", "pred_score_thr"), "score_threshold=0.5"),
    "iou": IOU,
    "max_det": NUM_DETECTIONS,
    **dict.fromkeys(("imgsz", "img_size"), SIZES.format("")),
    "batch": "batch_size=2",
    "workers": "nothing: images are read by as many threads as the machine has use for",
    "classes": "categories=[car,person]",
    **dict.fromkeys(("project", "name", "save_dir", "out", "out_dir"), "output=FOLDER"),
    "save_txt": "save=[yolo]",
    **dict.fromkeys(("data", "input", "inputs", "images"), "source=FOLDER, the images"),
}
OF_SERVE = ("score_threshold", "min_size", NUM_DETECTIONS.partition("=")[0], IOU.partition("=")[0], "batch_size")
"""Keys of predictions that a server has, too."""
OF_TOOLS: Mapping[str, Mapping[str, str]] = {
    "Ultralytics": ULTRALYTICS, "detectron2": DETECTRON2, "MMDetection": MMDETECTION,
}  # fmt: skip
"""Tool -> key of its training -> what to type here."""
OF_OTHER_TOOLS: Mapping[str, Mapping[str, str]] = {
    "train": {
        **ULTRALYTICS,
        **DETECTRON2,
        **MMDETECTION,
        "max_epochs": ULTRALYTICS["epochs"],
        **dict.fromkeys(("max_iter", "steps"), DETECTRON2["SOLVER.MAX_ITER"]),
        "img_size": ULTRALYTICS["imgsz"],
        "learning_rate": ULTRALYTICS["lr0"],
        "gpus": ULTRALYTICS["device"],
        "weights": ULTRALYTICS["pretrained"],
        **dict.fromkeys(("root", "path", "dir", "folder", "data_dir", "data_root"), ULTRALYTICS["data"]),
    },
    "predict": OF_PREDICT,
    "next": {**OF_PREDICT, **dict.fromkeys(("num", "n", "k", "budget", "num_images"), "count=50")},
    "serve": {key: here for key, here in OF_PREDICT.items() if here.partition("=")[0] in OF_SERVE},
}
"""Command -> key -> what to type."""


ON_IMAGES = ("predict", "next", "serve")
"""Commands that run a trained model on images."""


def keys_here(name: str) -> set[str]:
    """Return the keys that take the place of another tool's in any command, ``trainer.max_epochs`` for ``epochs``."""
    return {keys[name].partition("=")[0] for keys in OF_OTHER_TOOLS.values() if name in keys}


ONE_VALUE = re.compile(r"(?P<key>[\w.]+)=(?P<example>FOLDER|[\d.]+)(?P<rest>(?! and)\b.*)")
"""An answer with one value, an example, in whose place the value that was typed can stand."""
NUMBER, PLAIN = re.compile(r"\d+(\.\d+)?(e-?\d+)?"), re.compile(r"[\w./~+-]+")
MODELS_OF_OTHERS = re.compile(r"yolo|detr|rtmdet|solo|(^|[_-])sam|r-?cnn|\.(yaml|yml|py|onnx)$")
"""Names of networks, and endings of files, that other tools have for a model."""


def on_device(config_name: str, device: str) -> str:
    """Return the overrides for a device as other tools name it: ``0``, ``0,1``, ``cpu``, ``cuda:0``, ``mps``.

    Args:
        config_name: train, predict, next or serve.
        device: as it was typed.
    """
    numbers = [number for number in device.split(",") if number.isdigit()]
    if config_name in ON_IMAGES:
        return shlex.quote(f"device=cuda:{numbers[0]}" if numbers else f"device={device}")
    if device == "cpu":
        return "trainer=cpu"
    count = f" trainer.devices={len(numbers)}" if len(numbers) > 1 else ""
    return f"trainer=gpu{count}" if numbers or device.startswith("cuda") else "trainer=auto"


def instead_of_key(config_name: str, key: str, value: str) -> str:
    """Return what to type in place of a key of another tool, with its value where that fits; empty for other keys.

    Args:
        config_name: train, predict or next.
        key: that there is not.
        value: as it was typed.
    """
    if key in DEVICES and value:
        return on_device(config_name, value)
    instead = OF_OTHER_TOOLS[config_name].get(key, "")
    said = ONE_VALUE.fullmatch(instead)
    if said is None or not value or (said["example"] != "FOLDER" and not NUMBER.fullmatch(value)):
        return instead
    override = f"{said['key']}={value}" if PLAIN.fullmatch(value) else quoted(said["key"], value)
    return f"{shlex.quote(override)}{said['rest']}"


def instead_of_option(config_name: str, group: str, option: str) -> str:
    """Return what to type in place of an option that is a file of weights, or a folder; empty where it is neither.

    Args:
        config_name: train, predict, next or serve.
        group: of the config.
        option: that there is not.
    """
    if group == "model" and MODELS_OF_OTHERS.search(option.lower()):
        return "Weights and configs of other tools do not fit: model=r50fpn is a Mask R-CNN that begins with COCO's"
    if group == "model" and Path(option).suffix in (".ckpt", ".pt", ".pth"):
        key = "checkpoint" if config_name in ON_IMAGES else "model.weights"
        return f"For a file of weights: {shlex.quote(f'{key}={option}')}"
    if group == "dataset" and Path(option).expanduser().exists():
        root = shlex.quote(quoted("dataset.root", option))
        return f"For a folder of labels: {typed_command('train')} dataset=auto {root}"
    return ""
