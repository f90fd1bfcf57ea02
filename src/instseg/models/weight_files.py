"""Weights published by torchvision, or from a file or URL.

Files are read with ``weights_only=True``, so that a file of weights can run no code.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from torchvision.models import get_model_weights
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

from instseg.core.disk_reasons import words_of
from instseg.core.errors import InstsegError
from instseg.core.records import convert_plain
from instseg.core.text import plural
from instseg.core.torch_files import ForeignFileError, TorchFileError, load_torch_file
from instseg.models.feature_backbone import PretrainedBackbone
from instseg.models.state_dict import BACKGROUND, BODY, StateDict, WeightsFile
from instseg.models.weight_downloads import WeightsUnavailableError, download
from instseg.models.weight_names import COCO_URLS, check_weights, is_address

REMEDY = "use another file"

COCO_ROWS: tuple[str, ...] = tuple(MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"])
"""Category of each of the 91 predictor rows: the background, 80 names, and "N/A" for ids COCO never used."""

COCO_V1_DIGEST = "bf2d0c1e"  # first digits of the sha256 of the published v1 file
FROZEN_EPS = 1e-5  # torchvision's FrozenBatchNorm2d


def coco_category_names() -> tuple[str, ...]:
    """Return the 80 categories of COCO, in the order of its ids."""
    return tuple(name for name in COCO_ROWS if name not in (BACKGROUND, "N/A"))


def read_weights(weights: str | Path, backbone: object, variant: str) -> WeightsFile:
    """Read weights, after their download if needed.

    Args:
        weights: coco, imagenet, a URL, or the path of a state dict of torchvision's Mask R-CNN or ResNet, of the
            library of the backbone, or of a checkpoint of this package.
        backbone: name of the backbone, for published weights, or a network.
        variant: of Mask R-CNN, for published weights.

    Raises:
        InstsegError: there are no such weights, or they cannot be downloaded or read.
    """
    text = str(weights)
    library = backbone if isinstance(backbone, PretrainedBackbone) else None
    if library is not None and text == "imagenet":
        return _of_library(library.read_published(), text, library)
    place = find_weights(text, str(backbone), variant)
    url = place if isinstance(place, str) else None
    path = download(place, is_published=text in ("coco", "imagenet")) if isinstance(place, str) else place
    file = _parse(load_torch(path, url), text, library)
    if (text == "coco" and variant == "v1") or _is_published_v1(file, path):
        return WeightsFile(file.source, _without_eps(file.state_dict), file.row_names)
    return file


def find_weights(weights: str, backbone: str, variant: str) -> str | Path:
    """Return the URL or the existing file of weights, without downloading it.

    Args:
        weights: coco, imagenet, a path or a URL.
        backbone: name of the backbone, for published weights.
        variant: of Mask R-CNN, for published weights.

    Raises:
        InstsegError: there is no such file, or no such weights are published.
    """
    check_weights(weights, backbone, variant)
    if weights == "coco":
        return COCO_URLS[backbone, variant]
    if weights == "imagenet":
        url: str = get_model_weights(backbone).IMAGENET1K_V1.url
        return url
    return weights if is_address(weights) else Path(weights).expanduser()


def load_state(path: Path, url: str) -> StateDict:
    """Read a published state dict.

    Args:
        path: its file.
        url: where it comes from, for messages.

    Raises:
        InstsegError: the file cannot be read.
    """
    return convert_plain(load_torch(path, url), StateDict, f"model.weights={url}", REMEDY)


def load_torch(path: Path, url: str | None) -> object:
    """Read a file of weights.

    Args:
        path: the file.
        url: where it comes from, for messages.

    Raises:
        InstsegError: the file cannot be read.
    """
    again = f"delete it and run again to download {url}" if url else "replace it by a whole copy"
    try:
        return load_torch_file(path)
    except ForeignFileError as error:
        raise WeightsUnavailableError(f"model.weights={url or path}: {error}") from error
    except OSError as error:
        raise WeightsUnavailableError(f"the weights {path} cannot be read: {words_of(error)}") from error
    except TorchFileError as error:
        raise WeightsUnavailableError(
            f"the weights {path} ({path.stat().st_size:,} bytes) cannot be read, most often because their download "
            f"was cut short: {error}\nWays out: {again}; or name another file of weights"
        ) from error


class _Described(msgspec.Struct):
    """Part of what a checkpoint of this package says about itself."""

    categories: list[str] | None = None


def _parse(content: object, source: str, library: PretrainedBackbone | None) -> WeightsFile:
    """Recognise a state dict, torchvision's training checkpoint or this package's checkpoint."""
    where, state, names = f"model.weights={source!r}", content, None
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        names = convert_plain(content.get("instseg", {}), _Described, where, REMEDY).categories
        whole = convert_plain(content["state_dict"], StateDict, where, REMEDY)
        own = {key.removeprefix("model."): value for key, value in whole.items() if key.startswith("model.")}
        state = own or whole  # timm's training checkpoints have no prefix
    elif isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        state = content["model"]
    if library is not None and isinstance(state, Mapping) and not any(str(key).startswith(BODY) for key in state):
        return _of_library(convert_plain(state, StateDict, where, REMEDY), source, library)
    if isinstance(state, Mapping) and "conv1.weight" in state:
        named = convert_plain(state, StateDict, where, REMEDY)
        body = {BODY + key: value for key, value in named.items() if not key.startswith("fc.")}
        return WeightsFile(source, body, backbone_only=True)
    if not isinstance(state, Mapping) or not any(str(key).startswith(BODY) for key in state):
        raise InstsegError(f"{where}: expected a Mask R-CNN or ResNet state dict in torchvision's naming")
    named = {_new_name(key): value for key, value in convert_plain(state, StateDict, where, REMEDY).items()}
    bias = named.get("roi_heads.box_predictor.cls_score.bias")
    num_rows = 0 if bias is None else bias.numel()
    rows = (BACKGROUND, *names) if names else COCO_ROWS if num_rows == len(COCO_ROWS) else None
    if rows is not None and len(rows) != num_rows:
        raise InstsegError(
            f"model.weights={source!r}: {plural(len(rows) - 1, 'category name')} for "
            f"{plural(num_rows - 1, 'predicted category')}"
        )
    return WeightsFile(source, named, rows)


def _of_library(state: StateDict, source: str, library: PretrainedBackbone) -> WeightsFile:
    """Return the weights of a backbone's library as those of the body; what is unknown to it is kept, for the check."""
    named = {BODY + key: value for key, value in library.own_names(state).items()}
    return WeightsFile(source, named, backbone_only=True)


def _new_name(key: str) -> str:
    """Return today's name of a tensor named as before torchvision 0.13, as in its published v1 file."""
    key = re.sub(r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.head.conv.0.0.\1", key)
    return re.sub(r"mask_fcn(\d+)\.", lambda match: f"{int(match[1]) - 1}.0.", key)


def _is_published_v1(file: WeightsFile, path: Path) -> bool:
    if file.backbone_only or file.row_names != COCO_ROWS or file.norm != "frozen_bn":
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest().startswith(COCO_V1_DIGEST)


def _without_eps(state: StateDict) -> StateDict:
    """Convert weights trained at batch-norm eps 0 to weights of the same function at torchvision's eps.

    The published v1 weights were trained when FrozenBatchNorm2d had no eps. Setting eps to 0 in the model would be lost
    in its next checkpoint, which holds tensors only; the factor sqrt((var + eps) / var) in the weight is kept.
    """
    state = dict(state)
    for key in [key for key in state if key.startswith(BODY) and key.endswith(".running_var")]:
        weight, variance = key.replace("running_var", "weight"), state[key].double()
        factor = ((variance + FROZEN_EPS) / variance.clamp(min=1e-30)).sqrt()
        state[weight] = (state[weight].double() * factor).to(state[weight].dtype)
    return state
