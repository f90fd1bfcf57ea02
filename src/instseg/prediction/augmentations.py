"""Names of the augmentations at prediction, for whoever checks them before anything slow is imported."""

from typing import Literal

Augmentation = Literal["flip", "scale"]
