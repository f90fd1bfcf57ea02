"""Images of one split with what is there and what was found: what every analysis of a model starts from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from instseg.core.categories import Categories
from instseg.core.types import GroundTruth, Prediction


@dataclass(frozen=True, slots=True)
class EvaluatedImages:
    """Predictions beside the ground truth of the same images, sorted by image_id, all in the original frame."""

    predictions: list[Prediction]
    truths: list[GroundTruth]
    categories: Categories

    @classmethod
    def of(cls, pairs: Iterable[tuple[Prediction, GroundTruth]], categories: Categories) -> EvaluatedImages:
        """Sort images by id; the first of several with one id counts, as in the metrics.

        Args:
            pairs: a prediction with the ground truth of its image.
            categories: names of the labels 1….
        """
        by_id = {truth.image_id: (prediction, truth) for prediction, truth in reversed([*pairs])}
        kept = [by_id[image_id] for image_id in sorted(by_id)]
        return cls([prediction for prediction, _ in kept], [truth for _, truth in kept], categories)

    def __len__(self) -> int:
        return len(self.truths)
