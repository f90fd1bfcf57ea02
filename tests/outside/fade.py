"""An augmentation: fade an image towards gray, as old prints are. Instances stay where they are."""

from __future__ import annotations

import albumentations as A
import numpy as np
from numpy.typing import NDArray


class Fade(A.ImageOnlyTransform):
    """Fades each image by a random fraction, up to ``strength``."""

    def __init__(self, strength: float = 0.5, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.strength = strength

    def get_params(self) -> dict[str, float]:
        """Draw what is random, from the generator that seed, epoch and image decide."""
        return {"fraction": float(self.random_generator.uniform(0, self.strength))}

    def apply(self, img: NDArray[np.uint8], fraction: float, **_: object) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8."""
        return (img * (1 - fraction) + 128 * fraction).astype(np.uint8)
