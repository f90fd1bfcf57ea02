"""The check, before a training, that its network can be exported after it."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

from instseg.checkpoints.content import TrainedModel
from instseg.core.segmenter import InstanceSegmenter
from instseg.data.transforms.resize import Resize
from instseg.deploy.agreement import UNTRAINED
from instseg.deploy.export import Comparison, export
from instseg.deploy.formats import FORMATS
from instseg.deploy.trial_images import made_images
from instseg.prediction.export_formats import FormatName


def check_export(model: InstanceSegmenter, name: FormatName, min_size: int, max_size: int) -> None:
    """Export an untrained network into a folder that is removed, and compare it with itself on one made image.

    Args:
        model: not changed.
        name: of the format.
        min_size: px of the shorter side of images in the network.
        max_size: px that the longer side may have.

    Raises:
        InstsegError: a package is missing, or the network cannot be exported.
    """
    FORMATS[name].check_installed(name)
    untrained = TrainedModel(copy.deepcopy(model), min_size, max_size, {})
    images = [("made", Resize(min_size, max_size)(image)) for image in made_images(1)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{FORMATS[name].suffix}"
        export(untrained, name, path, Comparison(images, limits=UNTRAINED))
