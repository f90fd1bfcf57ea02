"""``predict.py``: find objects in images or a video, and write what was found."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from omegaconf import DictConfig
from rich.console import Console

from instseg.app.build_predictor import build_predictor, check_parts_of
from instseg.app.check_config import checked_predict_config
from instseg.app.config import Node
from instseg.app.instantiate import build, of_kind
from instseg.app.job import current_job
from instseg.app.memory import keep_freed_memory
from instseg.app.train_again import how_to_train_again
from instseg.core.files import absolute_path
from instseg.prediction.output import OutputOptions, write_predictions
from instseg.prediction.video.source import names_video
from instseg.prediction.writers.writer import Writer


def predict(composed: DictConfig) -> int:
    """Find objects in the images of a source, or in its video.

    Returns:
        The exit code of the program: 0 all images done, 2 some could not be read, 1 none could, 130 interrupted.

    Raises:
        InstsegError: anything the user can fix, before any work where it can be known before.
    """
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # names in other scripts are drawn as boxes
    config = checked_predict_config(composed)
    check_parts_of(config)
    predictor, identity = build_predictor(config, current_job())
    if predictor.network.device == "cpu":
        keep_freed_memory()
    console = Console()
    output, writers = absolute_path(config.output), build_writers(config.writers)
    options = OutputOptions(
        save=config.save,
        score_threshold=config.score_threshold,
        categories=config.categories,
        limit=config.limit,
        batch_size=config.batch_size,
        page=config.page,
        overwrite=config.overwrite,
    )
    if names_video(config.source, config.video):
        from instseg.app.predict_video import predict_video

        return predict_video(predictor, config, output, writers, options, identity, console)
    source = list(config.source)
    summary = write_predictions(predictor, source, output, writers, options, identity=identity, console=console)
    summary.print(console)
    if summary.num_images and (advice := how_to_train_again(config)):
        console.print(f"\n{advice}", markup=False, highlight=False, soft_wrap=True)
    return summary.exit_code


def build_writers(nodes: Mapping[str, Node | None]) -> dict[str, Writer]:
    """Build the writers of predictions, by their names in the config."""
    writers: dict[str, Writer] = {}
    for name, node in nodes.items():
        if node is not None:
            writers[name] = of_kind(build(node), Writer, f"writers.{name}")
    return writers
