"""Tiles of large images on the screen: a line that says why there are any, and how many of an image are done."""

from __future__ import annotations

from rich.progress import Progress, TaskID

from instseg.core.types import ImageSize
from instseg.prediction.tiling import ImageResize, Tiling


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
