"""``instseg serve``: a trained model that answers over HTTP."""

from __future__ import annotations

import importlib.util
import os
import warnings

from omegaconf import DictConfig
from rich.console import Console

from instseg.app.build_predictor import build_predictor, check_parts_of
from instseg.app.check_config import checked_serve_config
from instseg.app.config import ServeConfig
from instseg.app.job import current_job
from instseg.app.memory import keep_freed_memory
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path
from instseg.deploy.serving.limits import Limits
from instseg.deploy.serving.options import ServerOptions
from instseg.prediction.predictor import Predictor

PACKAGES = {"fastapi": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart",
            "prometheus_client": "prometheus-client"}  # fmt: skip
"""Module -> package."""
ON_GPU = 8
"""Images at once where batch_size=auto on a GPU; on a CPU several at once take as long as one after the other."""


def serve(composed: DictConfig) -> None:
    """Serve a model until Ctrl-C.

    Args:
        composed: the config.

    Raises:
        InstsegError: anything the user can fix, before any work where it can be known before.
    """
    _check_installed()
    from instseg.deploy.serving.guard import KEY_VARIABLE  # FastAPI is imported here
    from instseg.deploy.serving.listening import bind, check_access
    from instseg.deploy.serving.model import ServedModel
    from instseg.deploy.serving.start import serve_model

    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # names in other scripts are drawn as boxes
    config, key = checked_serve_config(composed), os.environ.get(KEY_VARIABLE) or None
    check_access(config.host, key)
    check_parts_of(config)
    with bind(config.host, config.port) as listening:
        predictor, identity = build_predictor(config, current_job())
        if predictor.network.device == "cpu":
            keep_freed_memory()
        model = ServedModel(predictor, identity, config.score_threshold, config.colour_by)
        serve_model(model, _options(config, predictor, key), listening, Console())


def _check_installed() -> None:
    if missing := [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]:
        raise InstsegError(f'serve: {" and ".join(missing)} not installed: pip install "instseg[serve]"')


def _options(config: ServeConfig, predictor: Predictor, key: str | None) -> ServerOptions:
    is_on_gpu = predictor.network.device.startswith(("cuda", "mps"))
    automatic = ON_GPU if is_on_gpu else 1
    files = config.labelstudio.files
    return ServerOptions(
        batch_size=config.batch_size if isinstance(config.batch_size, int) else automatic,
        limits=Limits(
            megabytes=config.max_mb,
            megapixels=config.max_megapixels,
            waiting=config.max_waiting,
            seconds=config.max_seconds,
        ),
        key=key,
        labelstudio_url=config.labelstudio.url,
        labelstudio_files=None if files is None else absolute_path(files),
    )
