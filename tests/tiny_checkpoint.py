"""A checkpoint that a command can start from, without a training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from instseg.checkpoints.content import DescribeCheckpoint
from instseg.checkpoints.files import AtomicCheckpointIO
from instseg.core.categories import Categories
from instseg.models.mask_rcnn import build_mask_rcnn


def write_tiny_checkpoint(path: Path, label_format: str) -> Path:
    """A network with random weights, trained as it says on labels of a format."""
    options = {"backbone": "resnet18_half", "weights": "none", "norm": "gn", "fpn_channels": 8,
               "box": {"head_channels": 8, "detections_per_image": 5}, "mask": {"channels": 8, "num_convs": 1},
               "rpn": {"post_nms_top_n_test": 10, "pre_nms_top_n_test": 10}}  # fmt: skip
    reader = f"instseg.data.formats.{label_format}.reader.{label_format.capitalize()}Reader"
    config = {
        "model": {"_target_": "instseg.models.mask_rcnn.build_mask_rcnn", **options},
        "augmentation": {"min_size": 64, "max_size": 96},
        "dataset": {"reader": {"_target_": reader}, "root": "gone"},
    }
    categories = Categories(("car", "dog"))
    weights = {f"model.{name}": value for name, value in build_mask_rcnn(categories, **options).state_dict().items()}
    checkpoint = {"state_dict": weights}
    describe = DescribeCheckpoint(categories, config)
    describe.on_save_checkpoint(SimpleNamespace(callback_metrics={}), None, checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    return path
