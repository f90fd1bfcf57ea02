"""Videos as frames with their times; the images of a folder may be the frames of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.types import Image, ImageSize, ValueRange
from instseg.data.reading.images import read_image


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a video."""

    number: int  # from 1
    pts: int  # its time from the first frame, in units of ``time_base``; each is later than those before
    seconds: float  # the same
    pixels: Image  # (H, W, 3) uint8 RGB, upright
    file_name: str  # of the image; of those without a file the name that extracting the frames gives it


class Video(ABC):
    """A sequence of frames of one size.

    ``damage`` lists, once the frames are read, what could not be read: the place in it and the reason.
    """

    name: str
    path: Path
    """The file or folder; of a camera a path that does not exist, of its name."""
    time_base: Fraction
    frames_per_second: float  # mean
    num_frames: int | None = None  # as far as it is known beforehand
    is_live: bool = False
    """Frames that are not read in time are gone."""
    audio: Path | None = None
    """The file that may have audio."""
    start_seconds: float = 0.0
    """Time of the first frame in that file."""

    def __init__(self) -> None:
        self.damage: list[tuple[str, str]] = []

    @abstractmethod
    def frames(self) -> Generator[Frame]:
        """Yield the frames from the first on; a damaged part is left out and named in ``damage``."""

    @abstractmethod
    def state(self) -> dict[str, object]:
        """Return plain containers by which the same video is known again."""

    def _check_size(self, number: int, size: ImageSize, expected: ImageSize) -> bool:
        if size == expected:
            return True
        sizes = f"expected {expected[1]} x {expected[0]} px as the first, found {size[1]} x {size[0]}"
        self.damage.append((f"frame {number}", sizes))
        return False


class FrameFolder(Video):
    """Image files that are the frames of a video.

    Args:
        paths: the images, in their order.
        root: the folder that they are named relative to.
        frames_per_second: their rate.
        value_range: of images of 16 bits, see ``read_image``.
    """

    def __init__(
        self, paths: Sequence[Path], root: Path, frames_per_second: float, value_range: ValueRange | None = None
    ) -> None:
        super().__init__()
        self.paths, self.path, self.value_range = paths, root, value_range
        self.name, self.num_frames, self.frames_per_second = root.name, len(paths), frames_per_second
        self.time_base = 1 / Fraction(frames_per_second).limit_denominator(1001)

    def frames(self) -> Generator[Frame]:
        """Yield the images that can be read; a missing one leaves a gap."""
        self.damage, size = [], None
        for number, path in enumerate(self.paths, start=1):
            try:
                pixels = read_image(path, value_range=self.value_range)
            except InstsegError as error:
                self.damage.append((str(path), str(error).removeprefix(f"{path}: ")))
                continue
            size = size or pixels.shape[:2]
            if self._check_size(number, pixels.shape[:2], size):
                name = path.relative_to(self.path).as_posix()
                yield Frame(number, number - 1, float((number - 1) * self.time_base), pixels, name)

    def state(self) -> dict[str, object]:
        """Return the folder."""
        return {"frames": str(self.path)}
