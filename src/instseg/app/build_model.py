"""The network of a run: built anew, or rebuilt from a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from instseg.app.config import ModelConfig, Node, RunConfig
from instseg.app.job import Job
from instseg.app.known_builders import builders_in, builders_of, model_builder_of
from instseg.checkpoints.content import TrainedModel, load_trained_model
from instseg.checkpoints.scales import COCO_SCALES
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path
from instseg.core.segmenter import InstanceSegmenter, as_module, weights_summary
from instseg.models.known import build_network
from instseg.models.weight_downloads import WeightsUnavailableError
from instseg.models.weight_files import coco_category_names
from instseg.runs.folders import find_checkpoint

COCO_MIN_SIZE, COCO_MAX_SIZE = 800, 1333  # px: the sizes that the published COCO weights were trained at


def build_model(
    node: Node, categories: Categories, trained: Node | None = None, **overrides: object
) -> InstanceSegmenter:
    """Build the network that ``model`` describes.

    Args:
        node: ``model`` of the composed config.
        categories: of the data.
        trained: ``model`` of a checkpoint whose weights follow; none are read then.
        overrides: options that replace those of ``node``.
    """
    if trained is not None:
        overrides |= {key: trained[key] for key in model_builder_of(node).resolved if key in trained}
    with nullcontext() if "weights" in overrides else remedy_of_training():  # given here: the command must have them
        return build_network({**node, **overrides}, categories, builders_of(node), "model", load=trained is None)


@contextmanager
def remedy_of_training() -> Iterator[None]:
    """Add to an error about weights that cannot be had what a training can begin from instead.

    Raises:
        InstsegError: the weights cannot be downloaded or read.
    """
    try:
        yield
    except WeightsUnavailableError as error:
        ways = "model.weights=PATH; or train without: model.weights=none, or model=small"
        raise InstsegError(f"{error}, with {ways}") from error


def build_trained_model(config: RunConfig | ModelConfig, job: Job) -> TrainedModel:
    """Rebuild the network of a checkpoint with the options that are overridden, or that of published weights.

    Args:
        config: of the run.
        job: of this process.

    Raises:
        InstsegError: the checkpoint cannot be used, or an option cannot be changed after training.
    """
    if config.checkpoint:
        overridden = {key: _option(config.model, key) for key in job.model_overrides}
        checkpoint = find_checkpoint(config.checkpoint, absolute_path(config.outputs))
        return load_trained_model(checkpoint, overridden, builders_in(job.config_dirs))
    if not isinstance(config, ModelConfig):
        raise InstsegError("checkpoint= is needed: a .ckpt, a run folder, or latest")
    categories = Categories(coco_category_names())
    builder = model_builder_of(config.model)
    if "weights" not in builder.options:
        raise InstsegError(f"weights={config.weights}: {builder.name} starts from no weights; use checkpoint=")
    model = build_model(config.model, categories, weights=config.weights)
    report = weights_summary(model)
    if report is None or not report.is_complete:
        raise InstsegError(
            f"weights={config.weights} does not hold all of the network for COCO's categories, it would guess: "
            "use weights=coco, or checkpoint= for a model of your own"
        )
    as_module(model).eval()
    return TrainedModel(model, COCO_MIN_SIZE, COCO_MAX_SIZE, {}, scales=COCO_SCALES)


def _option(model: Node, key: str) -> object:
    """Look up a dotted key."""
    found: object = model
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
