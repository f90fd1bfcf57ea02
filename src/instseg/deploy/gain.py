"""The gain of a file in int8: its size and time beside those of the file in float32."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from instseg.core.types import Image
from instseg.prediction.exported import open_exported

REPEATS = 5


@dataclass(frozen=True, slots=True)
class Gain:
    """Size and time of a network in float32 and in int8."""

    bytes_before: int
    bytes_after: int
    seconds_before: float
    seconds_after: float

    def __str__(self) -> str:
        """Say ``12.4 MB in float32, 3.9 MB in int8; 0.041 s and 0.025 s an image``."""
        return (
            f"{self.bytes_before / 1e6:.1f} MB in float32, {self.bytes_after / 1e6:.1f} MB in int8; "
            f"{self.seconds_before:.3g} s and {self.seconds_after:.3g} s for an image on this CPU"
        )


def measure_gain(before: Path, after: Path, image: Image) -> Gain:
    """Measure a file and the one that was made of it, each alone in its folder.

    Args:
        before: in float32.
        after: in int8.
        image: uint8 RGB (H, W, 3) in the network frame, on which both are timed in turn.
    """
    networks = [open_exported(path, "cpu")[0] for path in (before, after)]
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS + 1):
        for network, taken in zip(networks, seconds, strict=True):
            start = time.perf_counter()
            network.find(image)
            taken.append(time.perf_counter() - start)
    warm = [statistics.median(taken[1:]) for taken in seconds]
    return Gain(size_of(before.parent), size_of(after.parent), warm[0], warm[1])


def size_of(folder: Path) -> int:
    """Return the bytes of the files of a folder."""
    return sum(file.stat().st_size for file in folder.iterdir())
