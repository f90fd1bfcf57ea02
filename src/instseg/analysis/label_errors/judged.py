"""Judged images: what was found in them by models that have not seen their labels, and how that came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from instseg.analysis.subject import ImageFile, Subject
from instseg.evaluation.evaluated import EvaluatedImages


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Images with their labels and what was found in them; all lists are in the order of the images."""

    images: EvaluatedImages
    files: Sequence[ImageFile]
    judges: Sequence[str]
    """Run folder of the model that judged each image."""
    notes: Sequence[str] = ()
    """Sentences on which images were judged, by whom, and which were not."""

    def subject(self) -> Subject:
        """Return the images with their files, for a page."""
        files = dict(zip((truth.image_id for truth in self.images.truths), self.files, strict=True))
        return Subject(self.images, files.__getitem__, np.full(len(self.images.categories), 0.5))
