"""The loaded model that a config of predictions names: a checkpoint, published weights, or an exported file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from instseg.app.check_calls import check_calls
from instseg.app.config import ModelConfig
from instseg.app.job import Job
from instseg.checkpoints.scales import Scales
from instseg.core.errors import InstsegError
from instseg.core.precision import FLOAT32
from instseg.data.transforms.resize import Resize
from instseg.prediction.exported import ExportRecord, exported_file, open_exported
from instseg.prediction.nms import Nms
from instseg.prediction.predictor import Predictor
from instseg.prediction.tiling import CLEARLY_BELOW, Tiling
from instseg.prediction.views import views_of


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
    return _of_checkpoint(config, job) if exported is None else _of_file(exported, config, job)


def _of_checkpoint(config: ModelConfig, job: Job) -> tuple[Predictor, dict[str, object]]:
    from instseg.app.build_model import build_trained_model  # torch is imported here
    from instseg.prediction.torch_network import TorchNetwork, leave_candidates

    trained = build_trained_model(config, job)
    resize, tiling = _sizes(config, trained.min_size, trained.max_size, trained.scales)
    network, nms = TorchNetwork(trained.model, config.device, config.precision), config.build_nms()
    if nms.needs_candidates:
        nms = replace(nms, limit=leave_candidates(trained.model, nms.asked).per_image)
    predictor = Predictor(
        network, resize, trained.operating_points, trained.value_range, tiling, nms, views_of(config.augmentations)
    )
    return predictor, trained.identity or {"weights": config.weights, "backbone": config.model.get("backbone")}


def _of_file(path: Path, config: ModelConfig, job: Job) -> tuple[Predictor, dict[str, object]]:
    if job.model_overrides:
        raise InstsegError(
            f"model.{job.model_overrides[0]}: {path.name} holds the network as it was exported; give this option to "
            "instseg export"
        )
    precision = FLOAT32 if config.precision == "auto" else config.precision  # in which it was compared with PyTorch
    network, record = open_exported(path, config.device, precision)
    resize, tiling = _sizes(config, record.min_size, record.max_size, record.scales)
    nms = nms_of_file(path, record, config.build_nms())
    predictor = Predictor(
        network, resize, record.operating_points, record.value_range, tiling, nms, views_of(config.augmentations)
    )
    return predictor, {**record.origin, "exported": str(path.absolute())}


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


def _sizes(
    config: ModelConfig, trained_min: int, trained_max: int, scales: Scales | None
) -> tuple[Resize, Tiling | None]:
    """Return the resize of training, or one to the size that the config asks for, and the tiles of large images."""
    min_size = config.min_size or trained_min
    resize = Resize(min_size, config.max_size or round(trained_max * min_size / trained_min))
    if config.tile is None:
        return resize, None
    if isinstance(config.tile, int):
        return resize, Tiling(config.tile, config.tile_overlap)
    if scales is None:
        raise InstsegError(
            "tile=auto: the model does not say at which scale it was trained, as those of earlier versions do not; "
            "give the side of a tile in px of the images, such as tile=1024"
        )
    enlarged = min_size / trained_min
    below = CLEARLY_BELOW * scales.low * enlarged
    return resize, Tiling(round(trained_min / scales.median), config.tile_overlap, below, scales.median * enlarged)
