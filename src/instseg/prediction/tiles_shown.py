"""Tiles of large images on the screen: why there are any, how many of an image are done, where some would help."""

from __future__ import annotations

from collections.abc import Sequence

from rich.progress import Progress, TaskID

from instseg.core.text import plural
from instseg.core.types import ImageSize
from instseg.prediction.tiling import ImageResize, Tiling, scale_of


class TilesShown:
    """Listener of a predictor that works on tiles.

    Args:
        tiling: of the predictor.
        resize: of whole images.
        progress: the bar on the screen.
        task: of the bar.
    """

    def __init__(self, tiling: Tiling, resize: ImageResize, progress: Progress, task: TaskID) -> None:
        self.tiling, self.resize, self.progress, self.task = tiling, resize, progress, task
        self._is_said = False

    def __call__(self, size: ImageSize, done: int) -> None:
        """Show how many tiles of an image of this (height, width) px are done; of the first image also why."""
        if not self._is_said:
            self._is_said = True
            line = f"{'tiles:':<18}{self.tiling.reason(size, self.resize)}"
            self.progress.console.print(line, highlight=False, soft_wrap=True)
        number = len(self.tiling.tiles(size, self.resize))
        description = "predict" if done in (0, number) else f"predict, tile {done} of {number}"
        self.progress.update(self.task, description=description)


def note_on_shrunk(advised: Tiling, resize: ImageResize, sizes: Sequence[ImageSize]) -> list[str]:
    """Return one sentence where images that were predicted whole were shrunk far below the scale of the training.

    Args:
        advised: the tiles of tile=auto.
        resize: of whole images.
        sizes: (height, width) px of the images.
    """
    shrunk = [size for size in sizes if advised.tiles(size, resize)]
    if not shrunk:
        return []
    scales, is_one = [scale_of(size, resize) for size in shrunk], len(shrunk) == 1
    to = f"{min(scales):.2g}" if is_one else f"{min(scales):.2g} to {max(scales):.2g}"
    return [
        f"{plural(len(shrunk), 'image')} of {len(sizes)} {'was' if is_one else 'were'} predicted at a scale of {to}, "
        f"where training had {advised.trained:.2g}: small objects are missed there; "
        "tile=auto predicts such images in tiles"
    ]
