"""The scale at which a training saw its images."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

LOW_PERCENTILE = 5
Scale = Annotated[float, msgspec.Meta(gt=0)]


class Scales(msgspec.Struct, frozen=True):
    """Px in the network per px of the image, over the training images."""

    low: Scale
    """Nearly all images had at least this."""
    median: Scale


COCO_SCALES = Scales(low=1.25, median=5 / 3)
"""Of torchvision's weights: COCO's images of 640 x 480 px, some of them square, to 800 px."""


def scales_of(image_sizes: NDArray[np.integer], min_size: int, max_size: int) -> Scales | None:
    """Return the scales of training images; None where there is none.

    Args:
        image_sizes: (N, 2) height, width px.
        min_size: px of the shorter side in the network frame.
        max_size: px that the longer side may have there.
    """
    if not len(image_sizes):
        return None
    scales = np.minimum(min_size / image_sizes.min(axis=1), max_size / image_sizes.max(axis=1))
    return Scales(float(np.percentile(scales, LOW_PERCENTILE)), float(np.median(scales)))
