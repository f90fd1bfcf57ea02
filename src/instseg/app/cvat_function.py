"""A trained model as a function of CVAT's own client, which fetches the images of a task and uploads what is found.

    pip install "instseg[cvat]"
    cvat-cli task auto-annotate 137 --function-module instseg.app.cvat_function -p checkpoint=str:model.onnx

Nothing else of this package imports this file, nor the packages of CVAT.
"""

from __future__ import annotations

from collections.abc import Iterator

import cvat_sdk.auto_annotation as cvat
from cvat_sdk.masks import encode_mask
from PIL import Image as PilImage

from instseg.app.load import load_model
from instseg.prediction.model import Model
from instseg.prediction.result import Result


def create(checkpoint: str = "latest", device: str = "auto") -> CvatFunction:
    """Return the function; CVAT's client calls this with what it was given as ``-p``.

    Args:
        checkpoint: latest, a run folder, a .ckpt file or an exported one.
        device: auto, cpu, cuda, cuda:1, mps.
    """
    return CvatFunction(load_model(checkpoint, (), device, None))


class CvatFunction:
    """A detection function in the sense of CVAT, whose labels are the categories of the model.

    Args:
        model: at work.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        labels = [cvat.label_spec(name, number) for number, name in enumerate(model.categories)]
        self.spec = cvat.DetectionFunctionSpec(labels=labels)

    def detect(self, context: cvat.DetectionFunctionContext, image: PilImage.Image) -> list[object]:
        """Return the instances on an image as masks, or as polygons where the client asks for these.

        Args:
            context: with the wishes of the client.
            image: of a task.
        """
        asked = context.conf_threshold
        result = self._model.predict(image, score_threshold="auto" if asked is None else asked)
        as_shapes = _polygons if context.conv_mask_to_poly else _masks
        return list(as_shapes(result))


def _masks(result: Result) -> Iterator[object]:
    for label, mask in zip(result.labels, result.masks, strict=True):
        if mask.any():
            yield cvat.mask(int(label) - 1, encode_mask(mask))


def _polygons(result: Result) -> Iterator[object]:
    """Yield the parts of each instance; several of one instance are a group of CVAT."""
    for number, (label, parts) in enumerate(zip(result.labels, result.polygons(), strict=True), start=1):
        for part in parts:
            group = number if len(parts) > 1 else 0
            yield cvat.polygon(int(label) - 1, part.reshape(-1).tolist(), group=group)
