"""The loaded model that a config of predictions names: a checkpoint, published weights, or an exported file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from instseg.app.check_calls import check_calls
from instseg.app.config import ModelConfig
from instseg.app.job import Job
from instseg.checkpoints.scales import Scales
from instseg.core.errors import InstsegError
from instseg.core.precision import FLOAT32
from instseg.data.transforms.resize import Resize
from instseg.prediction.exported import ExportRecord, exported_file, open_exported
from instseg.prediction.nms import Nms
from instseg.prediction.predictor import Network, Predictor
from instseg.prediction.tiling import CLEARLY_BELOW, Tiling
from instseg.prediction.views import views_of

if TYPE_CHECKING:  # torch
    from instseg.checkpoints.content import TrainedModel


def check_parts_of(config: ModelConfig) -> None:
    """Check that what the config names can be imported; an exported model holds its network itself.

    Raises:
        InstsegError: a part cannot be imported, or has no such parameter.
    """
    is_exported = exported_file(config.checkpoint) is not None
    check_calls({key: node for key, node in config.resolved.items() if key != "model" or not is_exported})


def build_predictor(config: ModelConfig, job: Job) -> tuple[Predictor, dict[str, object]]:
    """Load the model.

    Args:
        config: which model, on which device, and in which size it sees images.
        job: with the options of the model that are overridden.

    Returns:
        The model, and plain containers that say which it is.

    Raises:
        InstsegError: the checkpoint, an option or the device cannot be used.
    """
    exported = exported_file(config.checkpoint)
    predictor, origin = _of_checkpoint(config, job) if exported is None else _of_file(exported, config, job)
    return predictor, {**origin, **chosen_settings(config)}


def chosen_settings(config: ModelConfig) -> dict[str, object]:
    """Return the settings of ``nms`` and ``tta`` that are not the usual ones, to stand beside what is found."""
    chosen: dict[str, object] = {"nms_threshold": config.nms_threshold, "nms_sigma": config.nms_sigma}
    chosen |= {"nms": None if config.nms == "box" else config.nms, "tta": config.augmentations or None}
    return {key: value for key, value in chosen.items() if value is not None}


def _of_checkpoint(config: ModelConfig, job: Job) -> tuple[Predictor, dict[str, object]]:
    from instseg.app.build_model import build_trained_model  # torch is imported here
    from instseg.prediction.torch_network import TorchNetwork, leave_candidates

    trained, nms = build_trained_model(config, job), config.build_nms()
    network = TorchNetwork(trained.model, config.device, config.precision)
    if nms.needs_candidates:
        nms = replace(nms, limit=leave_candidates(trained.model, nms.asked).per_image)
    origin = trained.identity or {"weights": config.weights, "backbone": config.model.get("backbone")}
    return _assembled(network, trained, nms, config), origin


def _of_file(path: Path, config: ModelConfig, job: Job) -> tuple[Predictor, dict[str, object]]:
    if job.model_overrides:
        raise InstsegError(
            f"model.{job.model_overrides[0]}: {path.name} holds the network as it was exported; give this option to "
            "instseg export"
        )
    precision = FLOAT32 if config.precision == "auto" else config.precision  # in which it was compared with PyTorch
    network, record = open_exported(path, config.device, precision)
    nms = nms_of_file(path, record, config.build_nms())
    return _assembled(network, record, nms, config), {**record.origin, "exported": str(path.absolute())}


def _assembled(network: Network, trained: TrainedModel | ExportRecord, nms: Nms, config: ModelConfig) -> Predictor:
    """Return the predictor with the sizes of training, or those that the config asks for, and the tiles."""
    min_size = config.min_size or trained.min_size
    enlarged = min_size / trained.min_size
    resize = Resize(min_size, config.max_size or round(trained.max_size * enlarged))
    auto = _tiles_of_training(trained.min_size, trained.scales, enlarged, config.tile_overlap)
    tiling, views = _tiling(config, auto), views_of(config.augmentations)
    predictor = Predictor(network, resize, trained.operating_points, trained.value_range, tiling, nms, views)
    predictor.advised = auto
    return predictor


def nms_of_file(path: Path, record: ExportRecord, nms: Nms) -> Nms:
    """Return the suppression, with what the network of an exported file would do itself where it leaves candidates.

    Args:
        path: of the file, for the message.
        record: of the file.
        nms: that is asked for.

    Raises:
        InstsegError: it needs candidates, and the file leaves none.
    """
    if record.candidates is not None:
        before = None if nms.needs_candidates else record.candidates.iou_threshold
        return replace(nms, limit=record.candidates.per_image, before=before)
    if nms.needs_candidates:
        raise InstsegError(
            f"{nms.asked}: expected a file with candidates, found in {path.name} what its own suppression has left; "
            "export it again with candidates=true. nms=agnostic needs none"
        )
    return nms


def _tiles_of_training(trained_min: int, scales: Scales | None, enlarged: float, overlap: float) -> Tiling | None:
    """Return the tiles of tile=auto; None where the model does not say at which scale it was trained."""
    if scales is None:
        return None
    below = CLEARLY_BELOW * scales.low * enlarged
    return Tiling(round(trained_min / scales.median), overlap, below, scales.median * enlarged)


def _tiling(config: ModelConfig, auto: Tiling | None) -> Tiling | None:
    """Return the tiles of large images that the config asks for."""
    if config.tile != "auto":
        return Tiling(config.tile, config.tile_overlap) if isinstance(config.tile, int) else None
    if auto is None:
        raise InstsegError(
            "tile=auto: the model does not say at which scale it was trained, as those of earlier versions do not; "
            "give the side of a tile in px of the images, such as tile=1024"
        )
    return auto
