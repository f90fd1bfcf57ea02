"""Regions to ignore: what lies in them is no background, for anchors and proposals, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.core.categories import Categories
from instseg.core.types import IgnoredRegions, Target
from instseg.models.ignored_regions import MIN_COVERED, covered_fraction, without_ignored
from instseg.models.mask_rcnn import build_mask_rcnn

LEFT_HALF = torch.tensor([[1, 1, 0, 0]] * 4, dtype=torch.uint8)


def region(box, mask=LEFT_HALF):
    return {"ignored_boxes": torch.tensor([box], dtype=torch.float32), "ignored_masks": mask[None]}


@pytest.mark.parametrize(
    ("box", "covered"),
    [
        ((10, 10, 20, 20), 1.0),  # in the left half, which is the region
        ((30, 10, 40, 20), 0.0),  # in the right one, within its box
        ((15, 10, 35, 20), 0.5),  # across the middle, x = 25
        ((0, 0, 10, 10), 0.25),  # its lower right quarter
        ((5, 5, 45, 45), 0.5),  # the box of the region
        ((10, 10, 10, 20), 0.0),  # no area
        ((60, 60, 90, 90), 0.0),  # elsewhere
    ],
)
def test_the_covered_fraction_is_that_of_the_mask_and_not_of_its_box(box, covered):
    found = covered_fraction(
        torch.tensor([box], dtype=torch.float32), torch.tensor([[5.0, 5, 45, 45]]), LEFT_HALF[None]
    )
    assert found.item() == pytest.approx(covered, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_it_is_the_mean_of_the_pixels_of_a_box_of_whole_cells(seed):
    random = np.random.default_rng(seed)
    masks = random.integers(0, 2, (2, 8, 8)).astype(np.uint8)
    x1, y1 = random.integers(0, 7, 2)
    x2, y2 = random.integers(x1 + 1, 9), random.integers(y1 + 1, 9)
    expected = max(mask[y1:y2, x1:x2].mean() for mask in masks)
    box = torch.tensor([[x1, y1, x2, y2]], dtype=torch.float32) * 4 + 100  # a cell has 4 px
    frames = torch.tensor([[100.0, 100, 132, 132]] * 2)
    assert covered_fraction(box, frames, torch.from_numpy(masks)).item() == pytest.approx(expected, abs=1e-5)


def test_only_background_within_a_region_is_left_out():
    boxes = torch.tensor([[10.0, 10, 20, 20]] * 3 + [[30, 10, 40, 20]])
    labels = torch.tensor([0, 1, -1, 0])
    (found,) = without_ignored([labels], [boxes], [region((5, 5, 45, 45))])
    assert found.tolist() == [-1, 1, -1, 0]
    assert without_ignored([labels], [boxes], [{}])[0] is labels
    assert 0 < MIN_COVERED <= 1


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    options = {"backbone": "resnet18", "weights": "none", "norm": "gn", "fpn_channels": 32,
               "box": {"head_channels": 32}, "mask": {"channels": 32, "num_convs": 1}}  # fmt: skip
    return build_mask_rcnn(Categories(("car", "dog")), **options).eval()


def losses(network, ignored):
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (1, 3, 128, 128), np.uint8))
    box_masks = torch.ones(1, 112, 112, dtype=torch.uint8)
    target = Target(torch.tensor([[8.0, 8, 48, 48]]), torch.tensor([1]), box_masks, ignored)
    return network(image, [(128, 128)], [target])[0]


def whole(box):
    return IgnoredRegions(torch.tensor([box]), torch.ones(1, 112, 112, dtype=torch.uint8))


def test_where_all_is_a_region_the_classes_are_learnt_from_the_instances_alone(network):
    with torch.no_grad():
        network.roi_heads.box_predictor.cls_score.bias.copy_(torch.tensor([-20.0, 20, -20]))  # sure of a car everywhere
        bare, covered = losses(network, None), losses(network, whole([0.0, 0, 128, 128]))
        nowhere = losses(network, whole([0.0, 0, 1, 1]))
    assert bare["loss_classifier"] > 10  # wrong about the background
    assert covered["loss_classifier"] < 1e-3
    assert covered["loss_objectness"] != bare["loss_objectness"]
    for name, loss in bare.items():
        torch.testing.assert_close(nowhere[name], loss, rtol=0, atol=0)
