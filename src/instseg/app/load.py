"""Models for use from Python, from anything that holds one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from instseg.app.build_predictor import build_predictor, check_parts_of
from instseg.app.check_config import checked_predict_config
from instseg.app.compose import ConfigDir, compose
from instseg.app.job import Job
from instseg.app.predict import build_writers
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path
from instseg.core.overrides import key_of, quoted
from instseg.prediction.exported import RUNTIMES
from instseg.prediction.model import Model


@dataclass(frozen=True, slots=True)
class Request:
    """A model that is asked for."""

    source: str
    overrides: tuple[str, ...]
    device: str
    config_dir: ConfigDir


def load_model(source: str | os.PathLike[str], overrides: Sequence[str], device: str, config_dir: ConfigDir) -> Model:
    """Load a model.

    Args:
        source: latest, coco, a run folder, a .ckpt file or an exported one.
        overrides: of the config of predictions, such as ``min_size=600``.
        device: auto, cpu, cuda, cuda:1, mps.
        config_dir: of the user's own configs.

    Raises:
        InstsegError: there is no such model, or it cannot be used.
    """
    _refuse_what_is_said_later(overrides)
    if not isinstance(source, str | os.PathLike):
        raise InstsegError(f"source: expected {EXPECTED}, found {type(source).__name__}")
    text = os.fspath(source)
    return LOADERS[_kind(text)](Request(text, tuple(overrides), device, config_dir))


def _refuse_what_is_said_later(overrides: Sequence[str]) -> None:
    for override in overrides:
        key = key_of(override).partition(".")[0]
        if key in SAID_LATER:
            raise InstsegError(f"{override}: a model that is loaded takes this later, as {SAID_LATER[key]}")


def _kind(source: str) -> str:
    """Return the key of ``LOADERS``; a folder may have any name, also that of a keyword."""
    path = absolute_path(source)
    if path.is_dir():
        return RUN_FOLDER
    kind = source if source in LOADERS else path.suffix
    if kind in LOADERS and (kind == source or path.is_file()):
        return kind
    found = "is no model that can be loaded" if path.exists() else f"no such file or folder in {Path.cwd()}"
    raise InstsegError(f"{source}: {found}; expected {EXPECTED}")


def _trained(request: Request) -> Model:
    return _built(request, quoted("checkpoint", request.source))


def _published(request: Request) -> Model:
    return _built(request, f"weights={request.source}")


def _built(request: Request, which: str) -> Model:
    own = ("source=[]", quoted("device", request.device), which)
    config = checked_predict_config(compose("predict", [*request.overrides, *own], request.config_dir))
    check_parts_of(config)
    folders = () if request.config_dir is None else (absolute_path(os.fspath(request.config_dir)),)
    predictor, identity = build_predictor(config, Job(overrides=request.overrides, config_dirs=folders))
    return Model(predictor, identity, lambda: build_writers(config.writers))


RUN_FOLDER = "run folder"
LOADERS: Mapping[str, Callable[[Request], Model]] = {
    "latest": _trained,
    "coco": _published,
    RUN_FOLDER: _trained,
    ".ckpt": _trained,
    **dict.fromkeys(RUNTIMES, _trained),
}
"""Keyword, folder or suffix of a file -> the function that loads such a model."""
SAID_LATER = {
    "score_threshold": "predict(images, score_threshold=…)",
    "batch_size": "predict(images, batch_size=…)",
    "page": "predict(page), a page that Pillow has opened: page.seek(1)",
    "source": "predict(images) or predict_folder(folder)",
    "limit": "predict(images[:limit])",
    "output": "save(folder)",
    "save": "save(folder, formats)",
    "overwrite": "save(folder)",
    "colour_by": "plot(colour_by=…)",
    "device": "load(…, device=…)",
    **dict.fromkeys(("video", "fps", "tracker"), "instseg predict source=…, which predicts videos"),
    "checkpoint": "load(checkpoint)",
    "weights": 'load("coco")',
}
"""Keys of predict.py -> their place in Python."""
EXPECTED = '"latest", "coco", a run folder, a .ckpt file, or a model that was exported'
