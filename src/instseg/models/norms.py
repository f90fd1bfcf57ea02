"""The layers behind the names of ``NORMS``."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from instseg.models.frozen_norms import FrozenNorm

NormLayer = Callable[[int], nn.Module]


def group_norm(num_channels: int) -> nn.GroupNorm:
    """Return GroupNorm of 32 groups (Wu & He, 2018), or of the largest divisor of 32 that divides a narrow layer."""
    return nn.GroupNorm(math.gcd(32, num_channels), num_channels)


def norm_layer(norm: str) -> NormLayer:
    """Return the constructor of a layer by its name in ``NORMS``."""
    layers: dict[str, NormLayer] = {
        "frozen_bn": FrozenNorm,
        "bn": nn.BatchNorm2d,
        "gn": group_norm,
        "sync_bn": nn.SyncBatchNorm,
    }
    return layers[norm]
