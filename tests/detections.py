"""Detections and their ground truth for the tests of the metrics: drawn by hand, or ellipses at random."""

from __future__ import annotations

import math

import numpy as np
from factories import drawn

from instseg.core.categories import Categories
from instseg.core.masks import bitmask_to_rle, rle_area, rle_to_box
from instseg.core.types import GroundTruth, Prediction
from instseg.evaluation.image_details import DetailsPool, ImageDetails
from instseg.evaluation.metrics import CocoMaskMetrics

CATEGORIES = Categories(("car", "dog", "cake"))
CAR, DOG, CAKE = 1, 2, 3

LEFT = drawn("####....", "####....", "........", "........")
TOP_LEFT_PAIR = drawn("##......", "##......", "........", "........")  # half of LEFT
RIGHT = drawn("......##", "......##", "......##", "........")
EVERYTHING = np.ones((4, 8), dtype=bool)


def truth(image_id, masks, labels=None, iscrowd=None, areas=None, size=(4, 8)):
    rles = [bitmask_to_rle(mask) for mask in masks]
    n = len(rles)
    return GroundTruth(
        image_id,
        size,
        np.array([rle_to_box(rle) for rle in rles]).reshape(n, 4),
        np.array([CAR] * n if labels is None else labels, dtype=np.int64),
        np.array([rle_area(rle) for rle in rles] if areas is None else areas, dtype=np.float64),
        np.array([False] * n if iscrowd is None else iscrowd, dtype=bool),
        rles,
    )


def prediction(image_id, masks, scores=None, labels=None, size=(4, 8)):
    rles = [bitmask_to_rle(mask) for mask in masks]
    n = len(rles)
    return Prediction(
        image_id,
        size,
        np.array([rle_to_box(rle) for rle in rles], dtype=np.float32).reshape(n, 4),
        np.array([CAR] * n if labels is None else labels, dtype=np.int64),
        np.array([0.9] * n if scores is None else scores, dtype=np.float32),
        rles,
    )


def computed(predictions, truths, categories=CATEGORIES):
    metric = CocoMaskMetrics(categories)
    metric.update(predictions, truths)
    return metric.compute()


SIZE = (160, 200)


def random_ellipse(rng, max_side=150):
    height, width = rng.integers(2, max_side, size=2)
    top, left = rng.integers(-5, SIZE[0] - 5), rng.integers(-5, SIZE[1] - 5)
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    return ((y - top - height / 2) / height) ** 2 + ((x - left - width / 2) / width) ** 2 <= 0.25


def random_image(rng, image_id, num_instances, num_extra, labels):
    """Ellipses, some of them crowds; predictions shift most of them, miss some, double some and add others."""
    masks = [random_ellipse(rng) for _ in range(num_instances)]
    true_labels = rng.choice(labels, num_instances)
    found, found_labels = [], []
    for mask, label in zip(masks, true_labels, strict=True):
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            found.append(np.roll(mask, tuple(rng.integers(-6, 7, size=2)), axis=(0, 1)))
            found_labels.append(label if rng.random() < 0.9 else rng.choice(labels))
    found += [random_ellipse(rng, 60) for _ in range(num_extra)]
    found_labels += rng.choice(labels, num_extra).tolist()
    scores = rng.random(len(found)).round(1)  # many ties
    iscrowd = rng.random(num_instances) < 0.15
    areas = np.array([mask.sum() for mask in masks]) * rng.uniform(0.5, 1.5, num_instances)
    made = prediction(image_id, found, scores, found_labels, SIZE)
    return made, truth(image_id, masks, true_labels, iscrowd, areas, SIZE)


def random_images(seed, num_images=8, labels=(CAR, DOG)):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(1000)[:num_images].tolist()  # neither sorted nor from 0 on
    pairs = [random_image(rng, image_id, rng.integers(0, 7), rng.integers(0, 6), labels) for image_id in ids]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def pool_of(predictions, truths):
    """Everything that the analysis of errors needs of the images, sorted by id."""
    pairs = sorted(zip(predictions, truths, strict=True), key=lambda pair: pair[1].image_id)
    return DetailsPool.of([ImageDetails.build(*pair) for pair in pairs])


def ap_of(precision):
    """The mean of pycocotools' precisions without the -1 of absent categories."""
    return precision[precision > -1].mean() if (precision > -1).any() else math.nan
