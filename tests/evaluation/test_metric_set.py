"""Several metrics see the same images, and their numbers stand in one table."""

from __future__ import annotations

import pytest
import torch
from detections import CATEGORIES, LEFT, RIGHT, prediction, truth
from torch import nn
from torchmetrics import Metric

from instseg.core.errors import InstsegError
from instseg.evaluation.metric_set import MetricSet
from instseg.evaluation.metrics import CocoMaskMetrics


class Says(Metric):
    """Computes whatever it was told to, and counts images in a state of torchmetrics."""

    def __init__(self, said: object) -> None:
        super().__init__()
        self.said = said
        self.add_state("images", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predictions, ground_truth) -> None:
        self.images += len(ground_truth)

    def compute(self) -> object:
        return self.images if self.said is None else self.said


def test_each_metric_sees_every_image_until_reset():
    metrics = MetricSet({"coco": CocoMaskMetrics(CATEGORIES), "images": Says(None)})
    metrics.update([prediction(1, [LEFT]), prediction(2, [])], [truth(1, [LEFT]), truth(2, [])])
    table = metrics.compute()
    assert (table["num_images"], int(table["images"]), table["segm_map"]) == (2, 2, pytest.approx(1))
    metrics.reset()
    metrics.update([prediction(1, [LEFT])], [truth(1, [RIGHT])])
    assert (metrics.compute()["num_images"], int(metrics.compute()["images"])) == (1, 1)


def test_a_number_has_the_name_of_its_metric_and_a_mapping_has_names_of_its_own():
    metrics = MetricSet({"half": Says(0.5), "counts": Says({"cars": 3, "dogs": torch.tensor([4])})})
    metrics.update([], [])
    assert metrics.compute() == {"half": 0.5, "cars": 3, "dogs": torch.tensor([4])}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"a": 1.0}, "metrics.second: expected .* found a, which is also the name of a number of metrics.first$"),
        (torch.zeros(3), r"metrics.second: expected a number for second, found a tensor of shape \(3,\)"),
        ({"loss": 1.0}, "metrics.second: .* found loss, which is also the name of a loss of the network$"),
        ({"b": "high"}, "metrics.second: expected a number for b, found str"),
    ],
)
def test_what_is_no_number_or_has_no_name_of_its_own_is_refused(said, message):
    metrics = MetricSet({"first": Says({"a": 1.0}), "second": Says(said)})
    metrics.update([], [])
    with pytest.raises(InstsegError, match=message):
        metrics.compute(losses=["loss"])


def test_what_is_no_metric_is_refused_with_its_name():
    with pytest.raises(InstsegError, match=r"metrics\.mine: expected a torchmetrics\.Metric, found .*Linear"):
        MetricSet({"mine": nn.Linear(1, 1)})


def test_the_states_of_its_metrics_move_with_it():
    metrics = MetricSet({"images": Says(None)}).to("meta")
    assert metrics.of_kind(Says).images.device.type == "meta"
    assert metrics.of_kind(CocoMaskMetrics) is None


def test_numbers_of_the_same_name_are_found_before_any_image():
    metrics = MetricSet({"coco": CocoMaskMetrics(CATEGORIES), "segm_map": Says(0.5)})
    with pytest.raises(InstsegError, match=r"metrics\.segm_map: .* found segm_map, .* a number of metrics\.coco"):
        metrics.check_names()


def test_the_trial_of_the_names_leaves_no_trace():
    metrics = MetricSet({"coco": CocoMaskMetrics(CATEGORIES), "images": Says(None)})
    metrics.check_names()
    metrics.update([prediction(1, [LEFT])], [truth(1, [RIGHT])])
    table = metrics.compute()
    assert (table["num_images"], int(table["images"]), table["segm_map"]) == (1, 1, pytest.approx(0))
