"""Prediction of a folder of images with one trained model."""

from __future__ import annotations

import warnings
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from instseg.app.build import build_trained_model, build_writers
from instseg.app.check_config import check_predict_config
from instseg.app.hydra_job import typed_model_options
from instseg.app.memory import keep_freed_memory
from instseg.data.transforms.resize import Resize
from instseg.prediction.output import write_predictions
from instseg.prediction.predictor import Predictor


def predict(config: DictConfig) -> int:
    """Find objects in photos and write what was found; returns the exit code of the program."""
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # names in other scripts are drawn as boxes
    check_predict_config(config)
    trained = build_trained_model(config, typed_model_options(config))
    min_size = config.min_size or trained.min_size
    max_size = config.max_size or round(trained.max_size * min_size / trained.min_size)
    resize = Resize(min_size, max_size)
    asked = OmegaConf.to_container(config, resolve=True)
    assert isinstance(asked, dict)
    console = Console()
    predictor = Predictor(trained.model, trained.categories, resize, config.device)
    if predictor.device.type == "cpu":
        keep_freed_memory()
    summary = write_predictions(
        predictor,
        asked["source"],
        Path(config.output),
        build_writers(config),
        save=asked["save"],
        score_threshold=config.score_threshold,
        categories=asked["categories"],
        limit=config.limit,
        batch_size=config.batch_size,
        overwrite=config.overwrite,
        identity=trained.identity or {"weights": config.weights, "backbone": config.model.backbone},
        console=console,
    )
    summary.print(console)
    return summary.exit_code
