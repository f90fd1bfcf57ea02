"""The package in Python: load a model and predict, train, measure, and look at data, from a script or a notebook."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.app.compose import ConfigDir, check_overrides, run_stage
from instseg.app.load import load_model
from instseg.core.errors import InstsegError
from instseg.core.files import absolute_path
from instseg.core.overrides import quoted, typed_values
from instseg.prediction.model import Model
from instseg.prediction.result import Result, Results
from instseg.prediction.source_image import ImageLike
from instseg.prediction.thresholds import AUTO, ScoreThreshold
from instseg.runs.folders import BEST, LAST, find_checkpoint
from instseg.runs.outcome import METRICS, read_metrics

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Model", "Result", "Results", "Run", "audit", "evaluate", "load", "train"]

STAGES = {"test": "test", "val": "validate"}


@dataclass(frozen=True)
class Run:
    """A run and its folder, which may be from another day: ``instseg.Run("outputs/shapes_small/…")``.

    It can be given wherever a run folder can: ``instseg.load(run)``, ``instseg.evaluate(run)``.
    """

    folder: Path
    checkpoint: Path | None = None
    """The checkpoint that was measured; None for a training, which has its own."""
    config_dir: ConfigDir = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", absolute_path(self.folder))

    @property
    def metrics(self) -> dict[str, float]:
        """All metrics by name, such as ``test/segm_map``; empty until the run has ended, and for an audit."""
        return read_metrics(self.folder) if (self.folder / METRICS).is_file() else {}

    @property
    def best(self) -> Path | None:
        """The checkpoint with the best validation; None where there is none."""
        return self._checkpoint(BEST)

    @property
    def last(self) -> Path | None:
        """The checkpoint that the training resumes from; None where there is none."""
        return self._checkpoint(LAST)

    @cached_property
    def model(self) -> Model:
        """The model of the best checkpoint, else of the last one; of an evaluation the one that was measured.

        Raises:
            InstsegError: the run has no checkpoint.
        """
        return load(self.checkpoint or self.folder, config_dir=self.config_dir)

    @overload
    def predict(  # type: ignore[overload-overlap]  # a text is one image, though it has letters
        self,
        images: str | os.PathLike[str] | PilImage.Image | NDArray[np.generic] | Tensor,
        *,
        score_threshold: ScoreThreshold = AUTO,
        batch_size: int = 1,
    ) -> Result: ...

    @overload
    def predict(
        self, images: Iterable[ImageLike], *, score_threshold: ScoreThreshold = AUTO, batch_size: int = 1
    ) -> Results: ...

    def predict(
        self, images: ImageLike | Iterable[ImageLike], *, score_threshold: ScoreThreshold = AUTO, batch_size: int = 1
    ) -> Result | Results:
        """Find the instances on an image, or on each of several, with ``model``.

        Args:
            images: as of ``Model.predict``.
            score_threshold: instances with a lower score are left out, as of ``Model.predict``.
            batch_size: images at once in the network.
        """
        return self.model.predict(images, score_threshold=score_threshold, batch_size=batch_size)

    def _checkpoint(self, name: str) -> Path | None:
        path = self.folder / "checkpoints" / name
        return path if path.is_file() else None

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        shown = {name: value for name, value in self.metrics.items() if name in ("val/segm_map", "test/segm_map")}
        return f"Run({', '.join([str(self.folder), *(f'{name} {value:.3f}' for name, value in shown.items())])})"


def load(
    source: str | os.PathLike[str] = "latest", *overrides: str, device: str = "auto", config_dir: ConfigDir = None
) -> Model:
    """Load a trained model.

    Examples:
        >>> model = instseg.load("outputs/shapes_small/2026-01-31_12-00-00")
        >>> result = model.predict("image.png", score_threshold=0.7)

    Args:
        source: ``latest``, the newest run below outputs; a run or its folder; a .ckpt file; or ``coco``, torchvision's
            model of COCO's 80 categories, which needs no training; or an exported .onnx, .xml or .pt2 file.
        overrides: of ``conf/predict.yaml``, such as ``"min_size=600"`` or ``"model=r50fpn_v2"``.
        device: auto (a GPU where there is one), cpu, cuda, cuda:1, mps.
        config_dir: of your own configs, where the checkpoint names a network of yours; None: that of a ``Run``.

    Raises:
        InstsegError: there is no such model, or it cannot be used here.
    """
    return load_model(source, overrides, device, _own_configs(source, config_dir))


def _own_configs(source: object, config_dir: ConfigDir) -> ConfigDir:
    return source.config_dir if config_dir is None and isinstance(source, Run) else config_dir


def train(*overrides: str, config_dir: ConfigDir = None) -> Run:
    """Train, then test the best checkpoint, as ``python train.py`` does with the same overrides.

    Ctrl-C, or the stop button of a notebook, ends the training after the step that it is in; the training saves its
    state and ``train("resume=auto")`` resumes it.

    Examples:
        >>> run = instseg.train("dataset=auto", "dataset.root=my_folder", "model=r50fpn", "trainer.max_epochs=20")
        >>> run.metrics["test/segm_map"]

    Args:
        overrides: ``key=value`` and ``group=option``; paths are relative to the current folder.
        config_dir: of your own configs.

    Returns:
        The run, whose ``predict`` uses its best checkpoint.

    Raises:
        InstsegError: anything that you can fix, before any work where it can be known before.
        KeyboardInterrupt: Ctrl-C.
    """
    return Run(run_stage(overrides, config_dir), config_dir=config_dir)


def evaluate(
    checkpoint: str | os.PathLike[str],
    *overrides: str,
    split: Literal["test", "val"] = "test",
    config_dir: ConfigDir = None,
) -> Run:
    """Measure a checkpoint on the data that it was trained with, or on other data of the same categories.

    Examples:
        >>> instseg.evaluate("latest").metrics["test/segm_map"]
        >>> instseg.evaluate("latest", "dataset=auto", "dataset.root=other_folder")

    Args:
        checkpoint: ``latest``, a run or its folder, or a .ckpt file.
        overrides: as of ``train``; what they leave open is as in the training.
        split: which images to measure on.
        config_dir: of your own configs; None: that of a ``Run``.

    Raises:
        InstsegError: there is no such split, or the checkpoint cannot be used, or has other categories than the data.
    """
    check_overrides("train", overrides)
    if split not in STAGES:
        raise InstsegError(f"split={split!r}: expected one of {', '.join(map(repr, STAGES))}")
    found = find_checkpoint(os.fspath(checkpoint), absolute_path(typed_values(overrides).get("outputs", "outputs")))
    stage = (f"stage={STAGES[split]}", quoted("checkpoint", found.absolute()))
    own = _own_configs(checkpoint, config_dir)
    return Run(run_stage([*stage, *overrides], own), found, own)


def audit(*overrides: str, config_dir: ConfigDir = None) -> Run:
    """Report on a dataset before training: what is wrong or doubtful, with pictures, in ``audit.html`` of the run.

    Examples:
        >>> instseg.audit("dataset=auto", "dataset.root=my_folder").folder / "audit.html"

    Args:
        overrides: as of ``train``.
        config_dir: of your own configs.

    Raises:
        InstsegError: the data cannot be read.
    """
    return Run(run_stage(["stage=audit", *overrides], config_dir), config_dir=config_dir)
