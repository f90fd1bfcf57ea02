"""Settings of the network that decide which objects it can learn, as plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Resize, anchors and limits of the run that the data is meant for; the defaults are torchvision's."""

    min_size: int = 800  # px: the shorter side becomes this …
    max_size: int = 1333  # … unless the longer would pass this
    anchor_sizes: Sequence[float | Sequence[float]] = (32, 64, 128, 256, 512)  # px, one entry per pyramid level
    anchor_ratios: Sequence[float] = (0.5, 1.0, 2.0)  # height / width
    strides: Sequence[int] = (4, 8, 16, 32, 64)  # px, one per pyramid level
    anchor_iou: float = 0.7  # from here on an anchor is positive in the training of the RPN
    detections_per_image: int = 100
    exif_is_given: bool = False  # whether the user said in which frame the labels were drawn

    @property
    def sizes_by_level(self) -> list[list[float]]:
        """Anchor sizes of each level, px."""
        return [list(s) if isinstance(s, Sequence) else [s] for s in self.anchor_sizes]
