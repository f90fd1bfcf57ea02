"""The settings of each command as typed values, which ``read_config`` makes of the composed config.

Their types are here, their ranges in ``value_ranges``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from instseg.core.errors import InstsegError
from instseg.prediction.augmentations import Augmentation
from instseg.prediction.export_formats import FormatName
from instseg.prediction.nms import Nms, NmsKind
from instseg.prediction.tiles import DEFAULT_OVERLAP

Node = dict[str, object]
"""A part of the config as plain containers, such as ``{"_target_": "instseg…", "lr": 0.001}``."""


def as_node(content: object) -> Node:
    """Return a part of the config as keys and values.

    Raises:
        InstsegError: it is a list, a value or nothing.
    """
    if not isinstance(content, Mapping):
        raise InstsegError(f"expected keys and values, found {content!r}")
    return {str(key): value for key, value in content.items()}


def class_name(node: Node) -> str:
    """Return the name of the class that a node builds, without its module."""
    return str(node.get("_target_")).rpartition(".")[2]


class Name(str):
    """A text that may be typed as a number: a folder may be called 2024."""

    __slots__ = ()


class Names(tuple[str, ...]):
    """One or several texts."""

    __slots__ = ()


class Monitor(msgspec.Struct, frozen=True):
    """The metric that makes a checkpoint the best one."""

    metric: str
    mode: str


class AuditConfig(msgspec.Struct, frozen=True):
    """Settings of the audit that opens every run."""

    accept: list[str]
    """Kinds of fatal findings to train in spite of."""


class LabelErrorsConfig(msgspec.Struct, frozen=True):
    """Settings of the search for label errors."""

    min_score: float
    """Suspicions from this score on have a proposed correction."""


class ExportConfig(msgspec.Struct, frozen=True):
    """Settings of ``stage=export``."""

    format: FormatName
    output: Name | None
    source: Name | None
    test: bool
    quantize: Literal["int8"] | None
    max_ap_loss: float | None
    candidates: bool


class LabelStudioConfig(msgspec.Struct, frozen=True):
    """Sources of the images of Label Studio."""

    url: str | None
    files: Name | None


class TrainerConfig(msgspec.Struct, frozen=True):
    """The arguments of Lightning's Trainer that are looked at here; ``RunConfig.trainer_options`` has all of them."""

    accelerator: str
    devices: int | str | list[int]
    num_nodes: int
    strategy: str | Node
    precision: int | str
    max_epochs: int | None
    max_steps: int
    checkpoint_every_minutes: float | None
    enable_progress_bar: bool
    profiler: str | None


class RunConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that ``train.py`` composes."""

    dataset: Node
    model: Node
    optimizer: Node
    scheduler: Node
    augmentation: Node
    trainer: TrainerConfig
    metrics: dict[str, Node | None] = {}
    callbacks: dict[str, Node | None] = {}
    logger: dict[str, Node | None] = {}
    sweep: Node | None = None
    stage: str
    checkpoint: Name | None
    resume: Name | None
    reproduce: Name | None
    retry_failed: bool
    batch_size: int
    num_workers: int | str
    compile: bool
    train_fraction: float
    overfit_images: int | None
    repeat_threshold: float | None
    seed: int
    monitor: Monitor
    operating_point: str
    recalibrate: str | None
    audit: AuditConfig
    label_errors: LabelErrorsConfig
    export: ExportConfig
    export_check: bool
    colour_by: Literal["instance", "category"]
    report: bool
    outputs: Name
    cache_dir: Name
    run_dir: Name
    resolved: Node
    """The whole config as plain containers, for the record."""

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.run_dir)

    @property
    def has_report(self) -> bool:
        """Tell whether a report is written on what the test has found."""
        return self.stage == "report" or (self.stage == "fit" and self.report)

    @property
    def keeps_predictions(self) -> bool:
        """Tell whether what a test finds is kept with its masks."""
        return self.has_report or self.stage == "label_errors"

    @property
    def trainer_options(self) -> Node:
        """All arguments of Lightning's Trainer, and our own that stand with them."""
        return as_node(self.resolved["trainer"])


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that all commands with a trained model have."""

    model: Node
    checkpoint: Name | None
    weights: Name | None
    score_threshold: float | str | dict[str | int | float, float]
    colour_by: Literal["instance", "category"]
    device: str
    min_size: int | None
    max_size: int | None
    precision: str
    outputs: Name
    resolved: Node
    tile: int | str | None = None
    tile_overlap: float = DEFAULT_OVERLAP
    nms: NmsKind = "box"
    nms_threshold: float | None = None
    nms_sigma: float | None = None
    tta: Augmentation | list[Augmentation] | None = None

    @property
    def augmentations(self) -> list[Augmentation]:
        """Those of ``tta``."""
        return [self.tta] if isinstance(self.tta, str) else self.tta or []

    def build_nms(self) -> Nms:
        """Return the suppression that is asked for.

        Raises:
            InstsegError: it has no such parameter.
        """
        return Nms(self.nms, self.nms_threshold, self.nms_sigma)


class PredictConfig(ModelConfig, frozen=True, kw_only=True):
    """Everything that ``predict.py`` composes."""

    source: Names
    output: Name
    save: str | list[str]
    writers: dict[str, Node | None]
    overwrite: bool
    categories: str | list[str] | None
    batch_size: int
    limit: int | None
    page: int | str = 0
    video: bool | str = "auto"
    fps: float | None = None
    tracker: Node = msgspec.field(default_factory=dict)


class NextConfig(PredictConfig, frozen=True, kw_only=True):
    """Everything that ``instseg next`` composes."""

    count: int
    labelled: Names | None
    curve: Name


class ServeConfig(ModelConfig, frozen=True, kw_only=True):
    """Everything that ``instseg serve`` composes."""

    host: str
    port: int
    batch_size: int | str
    max_mb: float
    max_megapixels: float
    max_waiting: int
    max_seconds: float
    labelstudio: LabelStudioConfig


RUN_KEYS = tuple(key for key in RunConfig.__struct_fields__ if key != "resolved")
PREDICT_KEYS = tuple(key for key in PredictConfig.__struct_fields__ if key != "resolved")
NOT_OF_NEXT = ("tile", "tile_overlap", "nms", "nms_threshold", "nms_sigma", "tta", "page", "video", "fps", "tracker")
"""Keys of predictions: the choice of images to label looks at whole images, as in training."""
NEXT_KEYS = tuple(key for key in NextConfig.__struct_fields__ if key not in ("resolved", *NOT_OF_NEXT))
SERVE_KEYS = tuple(key for key in ServeConfig.__struct_fields__ if key != "resolved")
