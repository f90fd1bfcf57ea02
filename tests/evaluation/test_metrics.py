"""Mask and box evaluation: hand-drawn cases, use as a metric, several processes."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from detections import (
    CAR,
    CATEGORIES,
    DOG,
    EVERYTHING,
    LEFT,
    RIGHT,
    TOP_LEFT_PAIR,
    computed,
    prediction,
    random_images,
    truth,
)
from metrics_of_ranks import SPLITS, measure_in_two_processes

from instseg.core.errors import InstsegError
from instseg.core.masks import bitmask_to_rle
from instseg.evaluation.metrics import CocoMaskMetrics

# --- small drawings -------------------------------------------------------------------------------------------------


def test_a_perfect_prediction_has_average_precision_and_recall_one():
    result = computed([prediction(1, [LEFT, RIGHT])], [truth(1, [LEFT, RIGHT])])
    for key in ("map", "map_50", "map_75", "map_small", "mar_10", "mar_100", "mar_small", "map/car"):
        assert result[f"segm_{key}"] == result[f"bbox_{key}"] == pytest.approx(1)
    assert result["segm_mar_1"] == 0.5, "one detection finds one of two"
    assert result["mean_mask_iou"] == 1
    assert (result["matched_instances"], result["num_instances"], result["num_images"]) == (2, 2, 1)


def test_numbers_without_ground_truth_are_nan_and_never_a_score_of_minus_one():
    result = computed([prediction(1, [LEFT])], [truth(1, [LEFT])])
    assert math.isnan(result["segm_map/dog"]) and math.isnan(result["bbox_map_large"])
    assert min(value for value in result.values() if not math.isnan(value)) >= 0


def test_an_empty_image_without_predictions_changes_nothing_but_the_image_count():
    one = computed([prediction(1, [LEFT])], [truth(1, [LEFT])])
    two = computed([prediction(1, [LEFT]), prediction(2, [])], [truth(1, [LEFT]), truth(2, [])])
    assert two.pop("num_images") == 2 and one.pop("num_images") == 1
    assert two == pytest.approx(one, nan_ok=True)


@pytest.mark.parametrize("num_images", [0, 1, 3])
def test_empty_images_alone_give_nan(num_images):
    ids = range(num_images)
    result = computed([prediction(i, []) for i in ids], [truth(i, []) for i in ids])
    assert result["num_images"] == num_images and result["num_instances"] == result["matched_instances"] == 0
    assert all(math.isnan(result[key]) for key in ("segm_map", "bbox_map", "mean_mask_iou", "segm_map/car"))


def test_an_image_without_predictions_lowers_recall():
    result = computed([prediction(1, [LEFT]), prediction(2, [])], [truth(1, [LEFT]), truth(2, [RIGHT])])
    assert result["segm_mar_100"] == 0.5 and result["segm_map"] == pytest.approx(51 / 101)
    assert result["mean_mask_iou"] == 1, "of what was found"
    assert (result["matched_instances"], result["num_instances"]) == (1, 2)


def test_a_better_scored_prediction_without_ground_truth_halves_precision():
    result = computed([prediction(1, [LEFT]), prediction(2, [RIGHT], [0.95])], [truth(1, [LEFT]), truth(2, [])])
    assert result["segm_map"] == pytest.approx(0.5) and result["segm_mar_100"] == 1


def test_detections_inside_a_crowd_are_neither_right_nor_wrong():
    truths = [truth(1, [LEFT, EVERYTHING], iscrowd=[False, True])]
    result = computed([prediction(1, [RIGHT, RIGHT, LEFT], [0.99, 0.98, 0.5])], truths)
    assert result["segm_map"] == result["bbox_map"] == pytest.approx(1)
    assert result["num_instances"] == 1 and result["matched_instances"] == 1


def test_a_mask_half_as_large_counts_as_found_with_iou_one_half_only():
    result = computed([prediction(1, [TOP_LEFT_PAIR])], [truth(1, [LEFT])])
    assert result["segm_map_50"] == pytest.approx(1) and result["segm_map_75"] == 0
    assert result["segm_map"] == pytest.approx(0.1), "one of ten IoU thresholds"
    assert result["mean_mask_iou"] == 0.5


def test_mean_mask_iou_gives_each_instance_to_the_best_scored_detection_above_one_half():
    masks, scores = [TOP_LEFT_PAIR, LEFT, RIGHT], [0.9, 0.8, 0.49]
    result = computed([prediction(1, masks, scores)], [truth(1, [LEFT, RIGHT])])
    assert result["mean_mask_iou"] == 0.5 and result["matched_instances"] == 1


def test_the_same_mask_under_another_label_is_wrong():
    result = computed([prediction(1, [LEFT], labels=[DOG])], [truth(1, [LEFT])])
    assert result["segm_map"] == 0 and result["matched_instances"] == 0


def test_the_annotated_area_decides_between_small_medium_and_large():
    result = computed([prediction(1, [LEFT])], [truth(1, [LEFT], areas=[50.0**2])])
    assert result["segm_map_medium"] == pytest.approx(1) and math.isnan(result["segm_map_small"])


def test_only_the_hundred_best_of_a_category_count():
    scores = np.linspace(0.9, 0.5, 101)
    result = computed([prediction(1, [RIGHT] * 100 + [LEFT], scores)], [truth(1, [LEFT])])
    assert result["segm_map"] == result["segm_mar_100"] == 0


# --- use as a metric ------------------------------------------------------------------------------------------------


def test_an_image_that_comes_twice_counts_once_and_the_first_time():
    metric = CocoMaskMetrics(CATEGORIES)
    metric.update([prediction(7, [LEFT])], [truth(7, [LEFT])])
    metric.update([prediction(7, [RIGHT])], [truth(7, [LEFT])])
    assert metric.compute()["num_images"] == 1 and metric.compute()["segm_map"] == pytest.approx(1)


def test_reset_forgets_and_updates_after_compute_count():
    metric = CocoMaskMetrics(CATEGORIES)
    metric.update([prediction(1, [RIGHT])], [truth(1, [LEFT])])
    assert metric.compute()["segm_map"] == 0
    metric.update([prediction(2, [LEFT])], [truth(2, [LEFT])])
    assert metric.compute()["num_images"] == 2
    metric.reset()
    metric.update([prediction(2, [LEFT])], [truth(2, [LEFT])])
    assert metric.compute()["segm_map"] == pytest.approx(1)


def test_forward_returns_the_batch_and_keeps_the_rest():
    metric = CocoMaskMetrics(CATEGORIES)
    metric([prediction(1, [RIGHT])], [truth(1, [LEFT])])
    assert metric([prediction(2, [LEFT])], [truth(2, [LEFT])])["segm_map"] == pytest.approx(1)
    assert metric.compute()["num_images"] == 2


def test_moving_cloning_pickling_and_hashing_keep_the_records():
    metric = CocoMaskMetrics(CATEGORIES)
    metric.update([prediction(1, [LEFT])], [truth(1, [LEFT])])
    metric.to("cpu").to("meta").half()
    copies = [metric, metric.clone(), pickle.loads(pickle.dumps(metric))]
    assert [copy.compute()["segm_map"] for copy in copies] == pytest.approx([1, 1, 1])
    assert hash(metric) is not None and metric.state_dict() == {}
    assert list(torch.nn.ModuleList([metric]).named_modules())


def test_nothing_is_printed(capsys):
    computed([prediction(1, [LEFT])], [truth(1, [LEFT])])
    assert capsys.readouterr() == ("", "")


def test_records_grow_with_instances_and_not_with_their_masks():
    ragged = np.random.default_rng(0).random((400, 500)) < 0.5
    metric = CocoMaskMetrics(CATEGORIES)
    metric.update([prediction(1, [ragged] * 50, size=(400, 500))], [truth(1, [ragged], size=(400, 500))])
    assert len(bitmask_to_rle(ragged)["counts"]) > 50_000
    assert len(pickle.dumps(metric.records)) < 51 * 80 + 2000


@pytest.mark.parametrize(
    ("predictions", "truths", "message"),
    [
        ([], [truth(1, [])], "1 image with ground truth, 0 predictions"),
        ([prediction(2, [])], [truth(1, [])], "image 1: the prediction is of image 2"),
        ([prediction(1, [LEFT], labels=[4])], [truth(1, [])], "prediction: expected labels 1..3, found 4"),
        ([prediction(1, [])], [truth(1, [LEFT], labels=[0])], "ground truth: expected labels 1..3, found 0"),
        ([prediction(1, [LEFT.T])], [truth(1, [LEFT])], r"expected masks of size \[4, 8\], found \[8, 4\]"),
        ([prediction(1, [LEFT], [math.nan])], [truth(1, [LEFT])], "finite scores"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_expected(predictions, truths, message):
    metric = CocoMaskMetrics(CATEGORIES)
    with pytest.raises(InstsegError, match=message):
        metric.update(predictions, truths)
    assert metric.records == []


# --- several processes ----------------------------------------------------------------------------------------------


def test_two_processes_give_the_numbers_of_one_to_the_last_digit(tmp_path):
    measure_in_two_processes(tmp_path)
    predictions, truths = random_images(0, num_images=7)
    ranks = [pickle.loads((tmp_path / f"{rank}.pkl").read_bytes()) for rank in (0, 1)]
    for name, (first, second) in SPLITS.items():
        indices = sorted({*first, *second})
        alone = computed([predictions[i] for i in indices], [truths[i] for i in indices])
        assert repr(ranks[0][name]) == repr(ranks[1][name]) == repr(alone), name
    assert [rank["records after compute"] for rank in ranks] == [5, 2], "each rank has its own images back"
    assert [rank["own"] for rank in ranks] == [5, 2], "sync_on_compute=False stays on the rank"
    assert [rank["group of its own"] for rank in ranks] == [5, 2]
    assert [rank["error"] for rank in ranks] == ["ZeroDivisionError", "RuntimeError"], "and nobody waits for ever"


def without_mask(truths, row):
    """The truth of one image, of which an instance has a box and no mask."""
    flags = np.arange(len(truths.labels)) == row
    return replace(truths, iscrowd=truths.iscrowd | flags, is_box_only=flags)


def test_mask_ap_ignores_a_detection_of_an_instance_without_a_mask_and_box_ap_counts_it():
    image = without_mask(truth(1, [LEFT, RIGHT]), 1)
    found = computed([prediction(1, [RIGHT, LEFT], scores=[0.9, 0.8])], [image])
    assert [found["segm_map"], found["bbox_map"]] == pytest.approx([1, 1])
    assert found["segm_mar_1"] == 0, "the best detection is of no mask"
    assert found["bbox_mar_1"] == 0.5 and found["num_instances"] == 1
    missed = computed([prediction(1, [LEFT])], [image])
    assert missed["segm_map"] == pytest.approx(1) and missed["bbox_map"] < 0.6


def test_a_detection_of_a_category_that_nobody_labelled_there_is_not_judged():
    image = replace(truth(1, [LEFT]), unlabelled=(DOG,))
    found = prediction(1, [LEFT, RIGHT], labels=[CAR, DOG])
    assert image.judged(found).labels.tolist() == [CAR]
    assert truth(1, [LEFT]).judged(found) is found


def test_two_boxes_for_one_instance_without_a_mask_are_one_too_many():
    image = without_mask(truth(1, [LEFT]), 0)
    twice = computed([prediction(1, [LEFT, LEFT], scores=[0.8, 0.9])], [image])
    assert twice["bbox_map"] == pytest.approx(1) and math.isnan(twice["segm_map"])
