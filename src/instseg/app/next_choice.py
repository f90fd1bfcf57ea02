"""The choice among the images that were looked at, with the reason for each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from instseg.analysis.next_images.choice import Candidates, choose
from instseg.analysis.next_images.reasons import Reason
from instseg.analysis.next_images.scanned import ScannedImage, features_of
from instseg.data.splits.near_duplicates import perceptual_hashes, similar_groups


@dataclass(frozen=True, slots=True)
class Choice:
    """The images to label next, most useful first, each with its reason."""

    paths: list[Path]
    reasons: list[Reason]


def choose_images(
    images: Sequence[ScannedImage], labelled: Sequence[ScannedImage], count: int, image_folder: Path
) -> Choice:
    """Choose among images.

    Args:
        images: that a model has looked at.
        labelled: the same of images that have labels.
        count: number of images.
        image_folder: that files are named relative to.
    """
    paths = [Path(image.path) for image in (*images, *labelled)]
    groups = similar_groups(perceptual_hashes(paths))
    candidates = Candidates(
        np.array([image.uncertainty.total for image in images]),
        features_of(images),
        groups[: len(images)],
        features_of(labelled),
        groups[len(images) :],
    )
    num_candidates = int(candidates.is_free.sum())
    chosen = list(choose(candidates, count))
    names = [Path(os.path.relpath(path, image_folder)).as_posix() for path in paths]
    reasons = [
        Reason(one, images[one.index].uncertainty, num_candidates, None if one.nearest is None else names[one.nearest])
        for one in chosen
    ]
    return Choice([paths[one.index] for one in chosen], reasons)
