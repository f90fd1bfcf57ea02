"""A monitored metric that can have no value is refused before the training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from instseg.app.check_measurable import check_measurable
from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.data.index.columns import Index

CATEGORIES = Categories(("car", "dog", "person"))


class Val(SimpleNamespace):
    """The images to validate on: three cars, no dog, one person, if not said otherwise."""

    def __init__(self, *counts: int) -> None:
        super().__init__(num_instances=sum(counts), instances_per_category=lambda: np.array(counts))

    def __len__(self) -> int:
        return 4


def check(metric: str, *counts: int) -> None:
    check_measurable(metric, cast("Index", Val(*counts)), CATEGORIES)


@pytest.mark.parametrize("metric", ["val/segm_map", "val/segm_map/car", "val/bbox_map/person", "val/loss", "val/mine"])
def test_a_metric_of_what_is_there_is_fine(metric):
    check(metric, 3, 0, 1)


@pytest.mark.parametrize(
    ("metric", "counts", "message"),
    [
        ("val/segm_map/dog", (3, 0, 1), "no validation image has an instance of dog"),
        ("val/bbox_map/dgo", (3, 0, 1), "there is no category dgo. Did you mean dog?"),
        ("val/segm_map", (0, 0, 0), "4 validation images without an instance"),
        ("val/bbox_mar_10", (0, 0, 0), "4 validation images without an instance"),
        ("val/mean_mask_iou", (0, 0, 0), "monitor.metric=val/loss"),
    ],
)
def test_a_metric_of_what_is_not_there_is_refused(metric, counts, message):
    with pytest.raises(InstsegError) as caught:
        check(metric, *counts)
    assert message in str(caught.value)


def test_a_loss_needs_no_instances():
    check("val/loss", 0, 0, 0)
