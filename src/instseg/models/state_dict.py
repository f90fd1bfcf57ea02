"""The state dict of a Mask R-CNN, and what its names and shapes say about the network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

StateDict = dict[str, Tensor]
BACKGROUND = "__background__"
BODY = "backbone.body."
PYRAMID_NORM = "backbone.fpn.inner_blocks.0.1."


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A state dict with this package's names and, where known, the category of each predictor row."""

    source: str
    state_dict: StateDict
    row_names: tuple[str, ...] | None = None  # row_names[0] is the background
    backbone_only: bool = False

    @property
    def norm(self) -> str:
        """Norm of pyramid and heads, or of the backbone where these have none: gn, bn or frozen_bn."""
        first = PYRAMID_NORM if PYRAMID_NORM + "weight" in self.state_dict else BODY + "bn1."
        if first + "running_mean" not in self.state_dict:
            return "gn"
        return "bn" if first + "num_batches_tracked" in self.state_dict else "frozen_bn"

    @property
    def architecture(self) -> str:
        """Name of the backbone, and the variant if there are heads."""
        blocks = {key.split(".")[3] for key in self.state_dict if key.startswith(BODY + "layer3.")}
        bottleneck = BODY + "layer1.0.conv3.weight" in self.state_dict
        depths = {(2, False): 18, (6, False): 34, (6, True): 50, (23, True): 101}
        depth = depths.get((len(blocks), bottleneck))
        name = f"resnet{depth}" if depth else "an unknown backbone"
        if self.backbone_only:
            return name
        return f"{name} {'v1' if 'roi_heads.box_head.fc6.weight' in self.state_dict else 'v2'}"
