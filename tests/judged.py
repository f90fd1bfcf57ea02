"""Judged images for the tests of label errors: one error drawn by hand beside many labels that are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from detections import CAR, CATEGORIES, DOG, prediction, truth

from instseg.analysis.label_errors.judged import Judged
from instseg.analysis.label_errors.suspicion import Kind
from instseg.analysis.subject import ImageFile
from instseg.evaluation.evaluated import EvaluatedImages

SIZE = (40, 60)
NUM_RIGHT = 30


def box(x1, y1, x2, y2):
    mask = np.zeros(SIZE, np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


LEFT, RIGHT, FAR = box(2, 4, 18, 20), box(20, 4, 36, 20), box(44, 22, 58, 38)
BOTH, LARGE = LEFT | RIGHT, box(0, 2, 26, 28)
UPPER, LOWER = box(2, 4, 18, 12), box(2, 12, 18, 20)


def found(image_id, *masks, labels=None, scores=None):
    return prediction(image_id, masks, scores, labels, SIZE)


def labelled(image_id, *masks, labels=None, iscrowd=None):
    return truth(image_id, masks, labels, iscrowd, size=SIZE)


def right_images():
    """Images whose labels are found, a little smaller or larger than they are drawn, and some noise."""
    for number in range(1, NUM_RIGHT + 1):
        off = int(number % 3 == 0)
        masks = box(2, 4 + off, 19, 20), box(44, 22 + off, 57, 38), box(0, 34, 4, 38)
        yield (
            found(number, *masks, labels=[CAR, DOG, CAR], scores=[0.9, 0.9, 0.1]),
            labelled(number, LEFT, FAR, labels=[CAR, DOG]),
        )


def judged(*pairs):
    images = EvaluatedImages.of([*right_images(), *pairs], CATEGORIES)
    files = [ImageFile(f"{one.image_id}.png", Path(f"/data/{one.image_id}.png")) for one in images.truths]
    return Judged(images, files, ["run"] * len(files), ["All were judged."])


CASES = {
    "an object without label": (found(99, LEFT, FAR), labelled(99, FAR), Kind.UNLABELLED, (), (0,)),
    "a label without object": (found(99, LEFT), labelled(99, LEFT, FAR), Kind.NO_OBJECT, (1,), ()),
    "a wrong category": (found(99, LEFT, labels=[DOG]), labelled(99, LEFT), Kind.CATEGORY, (0,), (0,)),
    "a polygon that is too large": (found(99, LEFT), labelled(99, LARGE), Kind.POLYGON, (0,), (0,)),
    "a polygon beside its object": (found(99, LEFT), labelled(99, box(9, 6, 25, 22)), Kind.POLYGON, (0,), (0,)),
    "two objects in one label": (found(99, LEFT, RIGHT), labelled(99, BOTH), Kind.MERGED, (0,), (0, 1)),
    "one object in two labels": (found(99, LEFT), labelled(99, UPPER, LOWER), Kind.SPLIT, (0, 1), (0,)),
}
