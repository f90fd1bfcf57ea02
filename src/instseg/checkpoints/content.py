"""What a checkpoint says about itself, and the model that it holds, rebuilt.

A checkpoint is Lightning's own with one more entry, ``instseg``: plain containers that suffice to rebuild the
model and its preprocessing, so that the file alone predicts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from instseg import __version__
from instseg.checkpoints.files import FORMAT, load_checkpoint
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn
from instseg.runs.environment import package_versions

MODEL_PREFIX = "model."
PREDICTION_OPTIONS = ("score_threshold", "nms_threshold", "detections_per_image")


def finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Lightning's logged tensors as floats, without what is undefined (NaN: no ground truth of that kind)."""
    numbers = {name: float(value) for name, value in metrics.items()}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


class DescribeCheckpoint(Callback):
    """Adds the ``instseg`` entry to every checkpoint.

    Args:
        categories: of the training data.
        config: the resolved config as plain containers.
        data_fingerprint: of the training data.
    """

    def __init__(self, categories: Categories, config: Mapping[str, Any], data_fingerprint: str = "") -> None:
        self.categories, self.config, self.data_fingerprint = categories, dict(config), data_fingerprint
        self._packages = package_versions()

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["instseg"] = {
            "format": FORMAT,
            "version": __version__,
            "packages": self._packages,
            "categories": list(self.categories.names),
            "preprocessing": {key: self.config["augmentation"][key] for key in ("min_size", "max_size")},
            "config": self.config,
            "data_fingerprint": self.data_fingerprint,
            "metrics": finite(trainer.callback_metrics),
        }


def _apply_option(options: dict[str, Any], key: str, value: Any) -> None:
    *groups, leaf = key.split(".")
    for group in groups:
        options = options[group]
    if options.get(leaf) == value or key in ("weights", "norm"):
        return
    if not (leaf.endswith("_test") or leaf in PREDICTION_OPTIONS):
        raise InstsegError(
            f"model.{key}={value}: the checkpoint was trained with {options.get(leaf)}, and this cannot change after "
            f"training. What can: {', '.join(PREDICTION_OPTIONS)}, and what ends in _test"
        )
    options[leaf] = value


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What a checkpoint holds, rebuilt."""

    model: MaskRCNN
    categories: Categories
    min_size: int
    max_size: int
    config: dict[str, Any]
    identity: dict[str, Any] = field(default_factory=dict)
    """Which checkpoint, run and epoch this is and how good it was, to stand beside its predictions."""


def load_trained_model(path: Path, typed: Mapping[str, Any] | None = None) -> TrainedModel:
    """Rebuild the model of a checkpoint with its weights, in evaluation mode, on the CPU.

    ``typed`` are model options such as {"box.score_threshold": 0.01}; those that only matter when predicting take the
    place of the checkpoint's, others must agree with it.
    """
    checkpoint = load_checkpoint(path)
    about = checkpoint["instseg"]
    for key, value in (typed or {}).items():
        _apply_option(about["config"]["model"], key, value)
    categories = Categories(tuple(about["categories"]))
    options = {key: value for key, value in about["config"]["model"].items() if key not in ("_target_", "suggested")}
    model = build_mask_rcnn(categories, **options, load=False)
    weights = checkpoint["state_dict"]
    model.load_state_dict({k.removeprefix(MODEL_PREFIX): v for k, v in weights.items() if k.startswith(MODEL_PREFIX)})
    sizes = about["preprocessing"]
    identity = describe_origin(path, checkpoint)
    return TrainedModel(model.eval(), categories, sizes["min_size"], sizes["max_size"], about["config"], identity)


def describe_origin(path: Path, checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Path, run (dataset_model/date_time), epoch and step (both from 0), and the metric that was watched."""
    about = checkpoint["instseg"]
    run_dir, monitor = about["config"].get("run_dir"), about["config"].get("monitor", {}).get("metric")
    return {
        "checkpoint": str(path.absolute()),
        "run": "/".join(Path(run_dir).parts[-2:]) if run_dir else None,
        "epoch": checkpoint.get("epoch"),
        "step": checkpoint.get("global_step"),
        "metrics": {name: value for name, value in about["metrics"].items() if name == monitor},
        "trained_with": about["version"],
    }
