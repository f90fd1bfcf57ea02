"""The network of a run: built anew, or rebuilt from a checkpoint."""

from __future__ import annotations

from instseg.app.build import build, of_kind, path_of
from instseg.app.config import Node, PredictConfig, RunConfig
from instseg.app.job import Job
from instseg.checkpoints.content import TrainedModel, load_trained_model
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.models.mask_rcnn import MaskRCNN
from instseg.models.weight_files import coco_category_names
from instseg.runs.folders import find_checkpoint

COCO_MIN_SIZE, COCO_MAX_SIZE = 800, 1333  # px: the sizes that the published COCO weights were trained at


def build_model(node: Node, categories: Categories, **overrides: object) -> MaskRCNN:
    """Build the network that ``model`` describes for these categories; ``overrides`` replace its options."""
    return of_kind(build(node, categories, **overrides), MaskRCNN, "model")


def build_trained_model(config: RunConfig | PredictConfig, job: Job) -> TrainedModel:
    """Rebuild the network of a checkpoint with the options that are overridden, or that of published weights.

    Raises:
        InstsegError: the checkpoint cannot be used, or an option cannot be changed after training.
    """
    if config.checkpoint:
        overridden = {key: _option(config.model, key) for key in job.model_overrides}
        return load_trained_model(find_checkpoint(config.checkpoint, path_of(config.outputs)), overridden)
    if not isinstance(config, PredictConfig):
        raise InstsegError("checkpoint= is needed: a .ckpt, a run folder, or latest")
    categories = Categories(coco_category_names())
    model = build_model(config.model, categories, weights=config.weights)
    if model.weights_report is None or not model.weights_report.is_complete:
        raise InstsegError(
            f"weights={config.weights} does not hold all of the network for COCO's categories, it would guess: "
            "use weights=coco, or checkpoint= for a model of your own"
        )
    return TrainedModel(model.eval(), categories, COCO_MIN_SIZE, COCO_MAX_SIZE, {})


def _option(model: Node, key: str) -> object:
    """Look up a dotted key."""
    found: object = model
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
