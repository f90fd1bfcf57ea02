"""The reason why an image was chosen, in words and as columns of the list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from instseg.analysis.next_images.choice import Chosen
from instseg.analysis.next_images.uncertainty import Uncertainty
from instseg.core.text import plural

COLUMNS = (
    "rank", "file", "uncertainty", "uncertainty_rank", "score_uncertainty", "mask_uncertainty", "detections",
    "distance", "nearest", "reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reason:
    """An image that was chosen, with what is known of it."""

    chosen: Chosen
    found: Uncertainty
    num_candidates: int
    nearest: str | None  # file of the nearest image that was chosen before

    def __str__(self) -> str:
        """Return ``rank 3 of 812 by uncertainty, 12 possible objects, …; distance 0.41 to IMG_7.jpg``."""
        rank = f"rank {self.chosen.rank} of {self.num_candidates} by uncertainty"
        return f"{rank}, {self._found()}; {self._novelty()}"

    def row(self, rank: int, file: str) -> Mapping[str, object]:
        """Return the columns of the list.

        Args:
            rank: among the chosen, from 1.
            file: of the image.
        """
        values = (
            rank,
            file,
            round(self.found.total, 3),
            self.chosen.rank,
            round(self.found.scores, 3),
            round(self.found.masks, 3),
            self.found.num_detections,
            round(self.chosen.distance, 3),
            self.nearest or "",
            str(self),
        )
        return dict(zip(COLUMNS, values, strict=True))

    def _found(self) -> str:
        """Describe what the uncertainty is about, in objects with a score of one half: easier to picture than bits."""
        if not self.found.num_detections:
            return "nothing found"
        objects = plural(self.found.num_detections, "possible object")
        return f"{objects}, in doubt like {self.found.scores:.1f} of score 0.5, their masks by {self.found.masks:.1f}"

    def _novelty(self) -> str:
        if self.nearest is not None:
            return f"distance {self.chosen.distance:.2f} to {self.nearest}"
        return "the first" if self.chosen.is_first else f"distance {self.chosen.distance:.2f} to a labelled image"
