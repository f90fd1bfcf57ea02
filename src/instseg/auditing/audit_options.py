"""Settings of the network that decide which objects it can learn, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from instseg.core.segmenter import NetworkLimits


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Resize and limits of the run that the data is meant for."""

    min_size: int = 800  # px: the shorter side becomes this …
    max_size: int = 1333  # … unless the longer would pass this
    limits: NetworkLimits = field(default_factory=NetworkLimits)
    exif_is_given: bool = False  # whether the user said in which frame the labels were drawn
    network: str = "this network"  # as a user chooses it, such as model=small
