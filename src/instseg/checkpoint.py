"""Checkpoints: written atomically, read without unpickling code, found by folder or by ``latest``.

A checkpoint is Lightning's own with one more entry, ``instseg``: plain containers that suffice to rebuild the
model and its preprocessing, so that the file alone predicts.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities.exceptions import SIGTERMException

from instseg import __version__
from instseg.atomic import replacing
from instseg.categories import Categories
from instseg.errors import InstsegError
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn

FORMAT = 1
MODEL_PREFIX = "model."
PREDICTION_OPTIONS = ("score_threshold", "nms_threshold", "detections_per_image")


def finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Lightning's logged tensors as floats, without what is undefined (NaN: no ground truth of that kind)."""
    numbers = {name: float(value) for name, value in metrics.items()}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write beside, flush to the disk, then rename: a crash or a full disk never harms the checkpoint before."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        with replacing(Path(path), sync=True) as scratch, scratch.open("wb") as file:
            torch.save(checkpoint, file)


class LastCheckpoint(ModelCheckpoint):
    """``last.ckpt`` after every validation, and when the user interrupts; not when the loss is no number any more."""

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, KeyboardInterrupt | SIGTERMException):
            super().on_exception(trainer, pl_module, exception)


class DescribeCheckpoint(Callback):
    """Adds the ``instseg`` entry to every checkpoint, and refuses to resume one of other categories."""

    def __init__(self, categories: Categories, config: Mapping[str, Any]) -> None:
        self.categories, self.config = categories, dict(config)

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["instseg"] = {
            "format": FORMAT,
            "version": __version__,
            "categories": list(self.categories.names),
            "preprocessing": {key: self.config["augmentation"][key] for key in ("min_size", "max_size")},
            "config": self.config,
            "metrics": finite(trainer.callback_metrics),
        }

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        check_resumable(checkpoint, self.categories, self.config)


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


def check_resumable(checkpoint: Mapping[str, Any], categories: Categories, config: Mapping[str, Any]) -> None:
    """InstsegError with the difference when a training with other categories or another network is to be resumed."""
    about = checkpoint["instseg"]
    Categories(tuple(about["categories"])).check_same(categories, "checkpoint", "dataset")
    trained, wanted = about["config"]["model"], config["model"]
    differing = [key for key in sorted(trained) if key in wanted and trained[key] != wanted[key] and key != "norm"]
    if differing:
        lines = [f"model.{key}: {trained[key]} in the checkpoint, {wanted[key]} now" for key in differing]
        raise InstsegError("the checkpoint to resume holds another network: " + "; ".join(lines))


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


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of ours on the CPU; InstsegError when it is missing, damaged or not one."""
    if not path.is_file():
        raise InstsegError(f"checkpoint: no such file: {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InstsegError(
            f"{path} ({path.stat().st_size} bytes) cannot be read, it may be cut off: {reason}"
        ) from error
    if not isinstance(checkpoint, dict) or "instseg" not in checkpoint:
        raise InstsegError(
            f"{path} is no checkpoint of instseg; plain weights are used with model.weights={path} in training"
        )
    if checkpoint["instseg"]["format"] > FORMAT:
        version = checkpoint["instseg"]["version"]
        raise InstsegError(f"{path} was written by instseg {version}, this is {__version__}: please update")
    return checkpoint


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
