"""Evaluated images as several ranks bring them together."""

from __future__ import annotations

from detections import CATEGORIES, LEFT, RIGHT, prediction, truth

from instseg.evaluation.evaluated import EvaluatedImages


def test_images_are_sorted_and_one_that_two_ranks_had_counts_once():
    first, again = prediction(2, [LEFT]), prediction(2, [RIGHT])
    pairs = [(first, truth(2, [LEFT])), (prediction(1, []), truth(1, [])), (again, truth(2, [LEFT]))]
    images = EvaluatedImages.of(pairs, CATEGORIES)
    assert [one.image_id for one in images.truths] == [1, 2]
    assert images.predictions[1] is first
