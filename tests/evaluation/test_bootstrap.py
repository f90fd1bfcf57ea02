"""AP of resampled images: the metric's own number, and that of images that are really there several times."""

import math
from dataclasses import replace

import numpy as np
import pytest
from detections import CATEGORIES, random_image

from instseg.core.errors import InstsegError
from instseg.evaluation.bootstrap import ApKind, ResampledAp
from instseg.evaluation.image_record import ImageRecord, unique_images
from instseg.evaluation.metrics import evaluate_records

NUM_IMAGES = 25


def made_records(seed, distinct_scores, labels=(1, 2, 3)):
    rng = np.random.default_rng(seed)
    records = []
    for image_id in range(NUM_IMAGES):
        prediction, truth = random_image(rng, image_id, int(rng.integers(0, 6)), int(rng.integers(0, 4)), labels)
        if distinct_scores:
            prediction.scores[:] = rng.random(len(prediction.scores))
        records.append(ImageRecord.build(prediction, truth))
    return unique_images(records)


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


@pytest.mark.parametrize("labels", [(1, 2, 3), (1, 2)], ids=["all categories", "one absent"])
def test_with_each_image_once_every_ap_is_the_metrics_own_to_the_last_digit(labels):
    records = made_records(0, distinct_scores=False, labels=labels)
    expected = {name: value for name, value in evaluate_records(records, CATEGORIES).items() if "_map" in name}
    assert len(expected) == 20
    once = np.ones((1, NUM_IMAGES), dtype=np.int64)
    assert all(same(ResampledAp(records, CATEGORIES, name)(once)[0], value) for name, value in expected.items())


@pytest.mark.parametrize("metric", ["segm_map", "bbox_map_50", "segm_map_small", "segm_map/dog"])
def test_an_image_that_is_drawn_three_times_counts_as_three_images(metric):
    records = made_records(1, distinct_scores=True)
    drawn = np.random.default_rng(2).multinomial(NUM_IMAGES, np.full(NUM_IMAGES, 1 / NUM_IMAGES), size=10)
    resampled = ResampledAp(records, CATEGORIES, metric)(drawn)
    for weights, value in zip(drawn, resampled, strict=True):
        copies = [
            replace(record, image_id=100 * record.image_id + copy)
            for record, times in zip(records, weights, strict=True)
            for copy in range(times)
        ]
        assert same(value, evaluate_records(copies, CATEGORIES)[metric])


def test_a_resample_without_anything_to_find_has_no_ap():
    records = made_records(3, distinct_scores=False)
    assert np.isnan(ResampledAp(records, CATEGORIES, "segm_map")(np.zeros((1, NUM_IMAGES), dtype=np.int64))[0])


def test_detections_beyond_the_limit_of_coco_are_counted_in_map_all():
    rng = np.random.default_rng(6)
    pairs = [random_image(rng, image_id, 8, 150, [1]) for image_id in range(3)]
    for made, true in pairs:
        made.scores[len(made) - 150 :] += 1  # those of no instance come first
        assert len(made) > 150 and len(true)
    records = [ImageRecord.build(*pair) for pair in pairs]
    expected, once = evaluate_records(records, CATEGORIES), np.ones((1, 3), dtype=np.int64)
    assert expected["segm_map"] < expected["segm_map_all"]
    for name in ("segm_map", "segm_map_all", "bbox_map_all"):
        assert ResampledAp(records, CATEGORIES, name)(once)[0] == expected[name]


def test_many_resamples_are_computed_in_pieces_with_the_same_result(monkeypatch):
    records = made_records(4, distinct_scores=False)
    drawn = np.random.default_rng(5).integers(0, 3, (20, NUM_IMAGES))
    measure = ResampledAp(records, CATEGORIES, "segm_map")
    at_once = measure(drawn)
    monkeypatch.setattr("instseg.evaluation.resampling.CHUNK", 1)
    assert np.array_equal(measure(drawn), at_once)


def test_metrics_that_are_no_ap_are_refused():
    with pytest.raises(
        InstsegError, match=r"val/loss: runs are compared by segm_map, segm_map_50, .*, and the same of bbox_map$"
    ):
        ApKind.parse("val/loss")
    with pytest.raises(InstsegError, match="no such category; there are car, dog, cake"):
        ResampledAp([], CATEGORIES, "segm_map/horse")
