"""The call that turns an image with its instances into a training target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from instseg.core.types import Image, Instances

Donor = Callable[[np.random.Generator], tuple[Image, Instances] | None]
"""Function that gives another training image with instances, chosen by the generator; None if there is no other."""


class Augment(Protocol):
    """Resize, and augment where a generator is given; ``Augmentation`` is one."""

    def __call__(
        self, image: Image, instances: Instances, random: np.random.Generator | None, donor: Donor | None = None, /
    ) -> tuple[Image, NDArray[np.float32], NDArray[np.int64], NDArray[np.uint8]]:
        """Return image uint8 (H, W, 3), boxes (N, 4) xyxy px, labels (N,) and box_masks (N, M, M) in the network frame.

        Args:
            image: uint8 (H, W, 3) RGB, original frame.
            instances: of the image.
            random: decides everything that is random; None to resize only.
            donor: gives another image to take instances from.
        """
        ...
