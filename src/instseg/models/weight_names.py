"""Names of published weights, and the check of a name before anything is downloaded. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

from instseg.core.disk_reasons import words_of
from instseg.core.errors import InstsegError
from instseg.core.file_kinds import foreign_kind
from instseg.models.names import HALF

COCO_URLS: dict[tuple[str, str], str] = {
    ("resnet50", "v1"): "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
    ("resnet50", "v2"): "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
}
"""(backbone, variant) -> URL of torchvision's Mask R-CNN weights trained on COCO."""


OF_TRAINING, OF_PREDICTION = "model.weights", "weights"
"""Keys of the weights that a training starts from, and of those that predict without a checkpoint."""
EXPECTED = {
    OF_TRAINING: "coco, imagenet, none, an http(s) URL, the path of a file, a run folder, or latest",
    OF_PREDICTION: "coco, an http(s) URL, or the path of a file; a model of your own is checkpoint=",
}


def check_weights(weights: str, backbone: str, variant: str, key: str = OF_TRAINING) -> None:
    """Check that weights are published, or that their file is there.

    Args:
        weights: coco, imagenet, a path or a URL.
        backbone: name of the backbone, for published weights.
        variant: of Mask R-CNN, for published weights.
        key: ``OF_TRAINING`` or ``OF_PREDICTION``, for messages.

    Raises:
        InstsegError: there is no such file, it holds no weights, or no such weights are published.
    """
    if weights == "coco":
        _check_coco(backbone, variant, key)
    elif weights == "imagenet":
        if backbone == HALF:
            raise InstsegError(f"{key}=imagenet: {backbone} has none; use {key}=none, or model.backbone=resnet18")
    elif not is_address(weights):
        _check_file(weights, Path(weights).expanduser(), key)


def is_address(weights: str) -> bool:
    """Tell whether weights are named by a URL."""
    return urlparse(weights).scheme in ("http", "https")


def _check_file(weights: str, path: Path, key: str) -> None:
    if not path.is_file():
        raise InstsegError(f"{key}={weights!r}: no such file; expected {EXPECTED[key]}")
    try:
        kind = foreign_kind(path)
    except OSError as error:
        raise InstsegError(f"{key}={weights}: cannot be read: {words_of(error)}") from error
    if kind is not None:
        raise InstsegError(f"{key}={weights}: expected weights of torch.save or safetensors, found {kind}")


def _check_coco(backbone: str, variant: str, key: str) -> None:
    if (backbone, variant) not in COCO_URLS:
        ways_out = {
            OF_TRAINING: f"Or use {key}={'none' if backbone == HALF else 'imagenet'}.",
            OF_PREDICTION: "Use model=r50fpn or model=r50fpn_v2.",
        }
        published = ", ".join(f"model.backbone={name} model.variant={kind}" for name, kind in COCO_URLS)
        raise InstsegError(
            f"{key}=coco with model.backbone={backbone} model.variant={variant}: no such weights are published; there "
            f"are {published}. {ways_out[key]}"
        )
