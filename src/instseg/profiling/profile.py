"""The parts that the time of a training is divided into, and the time of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DATA, COPY, OPTIMIZER, OTHER = "waiting for data", "copy to the device", "optimizer step", "logging, callbacks, rest"
NORMALIZE, BACKBONE, RPN_HEAD = "normalise the images", "backbone and FPN", "RPN head"
PROPOSALS, ANCHOR_MATCHING, RPN_LOSSES = (
    "proposals: decode, top-k, NMS",
    "matching of anchors",
    "sampling and losses of the RPN",
)
SAMPLING, BOX_ALIGN, BOX_HEAD = "matching and sampling of RoIs", "RoIAlign for boxes", "box head"
MASK_ALIGN, MASK_HEAD, LOSSES = "RoIAlign for masks", "mask head", "mask targets and losses"
DETECTIONS, REST = "detections: decode, NMS", "rest of the network"
FORWARD = (
    NORMALIZE, BACKBONE, RPN_HEAD, PROPOSALS, ANCHOR_MATCHING, RPN_LOSSES, SAMPLING, BOX_ALIGN, BOX_HEAD,
    MASK_ALIGN, MASK_HEAD, LOSSES, DETECTIONS, REST,
)  # fmt: skip
BACKWARD = "backward"
PASTE, UPDATE, COMPUTE = "masks to image size, as RLE", "metrics: update", "metrics: compute"
PICTURES, CHECKPOINTS = "pictures", "writing checkpoints"


@dataclass(frozen=True, slots=True)
class Profile:
    """Measurements of one process; times are seconds on the time line of its device."""

    device: str  # its name
    on_gpu: bool
    precision: str  # as the trainer's option
    num_workers: int  # loader processes
    num_cores: int  # that this process and its loaders may use
    images_per_step: float  # of this process
    num_processes: int
    num_steps: int  # that were measured
    step: Mapping[str, float]  # part -> seconds of a training step; their sum is the whole step
    num_images: int  # that were measured in evaluation
    image: Mapping[str, float]  # part -> seconds for each evaluated image
    evaluation: Mapping[str, float]  # part -> seconds once per evaluation, for any number of images
    checkpoints_seconds: float  # after each evaluation
    steps_per_epoch: int  # of a whole training, not of the short one that is profiled
    images_per_evaluation: int  # the same, of this process
    peak_bytes: Mapping[str, int]  # of what -> memory

    @property
    def step_seconds(self) -> float:
        """Time of a training step."""
        return sum(self.step.values())

    @property
    def images_per_second(self) -> float:
        """Images of all processes together in a second of training."""
        return self.images_per_step * self.num_processes / self.step_seconds

    @property
    def training_seconds(self) -> float:
        """Time of the training steps of one epoch."""
        return self.steps_per_epoch * self.step_seconds

    @property
    def evaluation_seconds(self) -> float:
        """Time of a whole evaluation."""
        return self.images_per_evaluation * sum(self.image.values()) + sum(self.evaluation.values())

    @property
    def epoch_seconds(self) -> float:
        """Time of an epoch, with its evaluation and checkpoints."""
        return self.training_seconds + self.evaluation_seconds + self.checkpoints_seconds
