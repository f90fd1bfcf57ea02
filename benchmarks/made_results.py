"""Made-up test results of two networks on the same images, without pictures: for what is known to be true of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from instseg.evaluation.detection_limits import COCO_LIMIT
from instseg.evaluation.image_record import MIN_IOU, ImageRecord, Overlaps

Floats = NDArray[np.float64]
AREA = 40.0**2  # px², of everything


def made_pair(
    rng: np.random.Generator, num_images: int, better_by: float, num_categories: int = 2
) -> tuple[list[ImageRecord], list[ImageRecord]]:
    """Results of a network and of one that is ``better_by`` (0: equally good).

    Images and instances are of different difficulty, which both networks meet: so their results go together, as
    those of two trainings do. About two instances an image, a fifth of the images without any.
    """
    one: list[ImageRecord] = []
    other: list[ImageRecord] = []
    for image_id in range(num_images):
        difficulty = rng.normal()
        count = rng.poisson(2.5) if rng.random() > 0.1 else 0
        labels = np.sort(rng.integers(1, num_categories + 1, count))
        hardness = difficulty + rng.normal(size=count)
        for records, skill in ((one, 0.0), (other, better_by)):
            records.append(_made_record(rng, image_id, labels, hardness - skill, difficulty, num_categories))
    return one, other


def _made_record(
    rng: np.random.Generator,
    image_id: int,
    truth_labels: NDArray[np.int64],
    hardness: Floats,
    difficulty: float,
    num_categories: int,
) -> ImageRecord:
    """An instance is found unless it is hard, its IoU and score fall with its hardness; extra detections score low."""
    quality = -0.6 * hardness + 0.5 * rng.normal(size=len(hardness))
    true = np.flatnonzero(quality > -1)
    ious = 0.97 - 0.55 / (1 + np.exp(1.2 * quality[true]))
    extra = rng.poisson(1.2 * np.exp(0.3 * difficulty))
    labels = np.concatenate([truth_labels[true], rng.integers(1, num_categories + 1, extra)])[:COCO_LIMIT]
    scores = 1 / (1 + np.exp(-np.concatenate([1 + quality[true], -0.6 + rng.normal(size=extra)])))[: len(labels)]
    order = np.lexsort((-scores, labels))
    place = np.argsort(order)[: len(true)]
    is_pair = ious >= MIN_IOU
    overlaps = Overlaps(np.full(len(labels), AREA), place[is_pair], true[is_pair], ious[is_pair])
    return ImageRecord(
        image_id=image_id,
        truth_labels=truth_labels,
        truth_areas=np.full(len(truth_labels), AREA),
        truth_iscrowd=np.zeros(len(truth_labels), dtype=np.bool_),
        truth_is_box_only=np.zeros(len(truth_labels), dtype=np.bool_),
        labels=labels[order],
        scores=scores[order],
        boxes=overlaps,
        masks=overlaps,
    )
