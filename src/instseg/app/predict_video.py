"""``predict.py`` on a video."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from instseg.app.config import PredictConfig
from instseg.app.instantiate import build, of_kind
from instseg.prediction.output import OutputOptions
from instseg.prediction.predictor import Predictor
from instseg.prediction.video.opening import open_video
from instseg.prediction.video.run import VideoRun
from instseg.prediction.video.start import start_video
from instseg.prediction.video.tracker import Tracker
from instseg.prediction.writers.writer import Writer

DECIDE = (
    *("model", "precision", "min_size", "max_size", "tile", "tile_overlap", "nms", "nms_threshold", "nms_sigma"),
    *("tta", "fps", "tracker"),
)
"""Keys that change what is found, beside those that the record of a run has in words of its own."""


def predict_video(
    predictor: Predictor,
    config: PredictConfig,
    output: Path,
    writers: Mapping[str, Writer],
    options: OutputOptions,
    identity: Mapping[str, object],
    console: Console,
) -> int:
    """Find and track objects in a video, and write what was found.

    Args:
        predictor: the loaded model.
        config: of predictions.
        output: the folder that everything is written to.
        writers: of images, by their names.
        options: what to save, and of what.
        identity: plain containers that say what the model is.
        console: where the progress is shown.

    Returns:
        The exit code of the program.

    Raises:
        InstsegError: the video cannot be read, or the output not be written to.
    """
    video = open_video(config.source, config.fps, predictor.value_range)
    tracker = of_kind(build(config.tracker), Tracker, "tracker")
    settings = {key: config.resolved[key] for key in DECIDE}
    start = start_video(predictor, tracker, video, output, writers, options, identity=identity, settings=settings)
    summary = VideoRun(start, video, config.colour_by).write(console)
    summary.print(console)
    return summary.exit_code
