"""RoIAlign on the CPU: torchvision's values and gradients, computed another way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import in_turns
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign as Reference
from torchvision.ops import roi_align

from instseg.models.roi_align import MultiScaleRoIAlign, roi_align_levels, roi_align_rows

STRIDES = (4, 8, 16, 32)
IMAGE = (128, 192)


def pyramid(
    channels: int = 5, strides: tuple[int, ...] = STRIDES, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        str(i): torch.randn(2, channels, IMAGE[0] // s, IMAGE[1] // s, generator=generator, dtype=dtype)
        for i, s in enumerate(strides)
    }


def random_boxes(count: int, seed: int) -> Tensor:
    """Boxes of all sizes, some reaching out of the image, some degenerate."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(count, 2, generator=generator) * torch.tensor([IMAGE[1], IMAGE[0]])
    half = torch.rand(count, 2, generator=generator) ** 3 * 120
    return torch.cat([centre - half, centre + half], 1)


@settings(max_examples=25, deadline=None)
@given(
    size=st.sampled_from([1, 2, 7, 14]),
    ratio=st.integers(0, 3),
    counts=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    num_levels=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_values_are_those_of_torchvision(
    size: int, ratio: int, counts: tuple[int, int], num_levels: int, seed: int
) -> None:
    names = [str(level) for level in range(num_levels)]
    boxes = [random_boxes(count, seed + image) for image, count in enumerate(counts)]
    expected = Reference(names, size, ratio)(pyramid(), boxes, [IMAGE, IMAGE])
    pooled = MultiScaleRoIAlign(names, size, ratio, strides=STRIDES[:num_levels])(pyramid(), boxes, [IMAGE, IMAGE])
    torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-4)


def test_gradients_are_those_of_torchvision() -> None:
    boxes = [random_boxes(9, 1), random_boxes(4, 2)]
    gradients = []
    for layer in (Reference(list("0123"), 7, 2), MultiScaleRoIAlign(list("0123"), 7, 2)):
        maps = {name: level.requires_grad_() for name, level in pyramid().items()}
        pooled = layer(maps, boxes, [IMAGE, IMAGE])
        (pooled * torch.linspace(-1, 1, pooled.numel()).view_as(pooled)).sum().backward()
        gradients.append([level.grad for level in maps.values()])
    for expected, got in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


EDGE_CASES = torch.tensor(
    [
        [3.0, 5.0, 100.0, 60.0],
        [-40.0, -30.0, 50.0, 20.0],  # across the upper left corner
        [150.0, 90.0, 260.0, 170.0],  # across the lower right one
        [-300.0, -300.0, -200.0, -200.0],  # outside
        [70.0, 40.0, 70.0, 40.0],  # a point
        [70.0, 40.0, 70.0, 90.0],  # a line
        [80.0, 70.0, 60.0, 30.0],  # inside out
        [64.0, 32.0, 128.0, 96.0],  # on the borders of cells
        [0.0, 0.0, 192.0, 128.0],  # all of it
    ],
    dtype=torch.float64,
)


@pytest.mark.parametrize("pool", [roi_align_rows, roi_align_levels])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (14, 14)])
def test_every_sampling_and_alignment_gives_the_values_and_gradients_of_the_kernel(
    pool: Callable[..., Tensor], aligned: bool, ratio: int, size: tuple[int, int]
) -> None:
    level = pyramid(3, (8,), torch.float64)["0"].requires_grad_()
    boxes = [EDGE_CASES, random_boxes(20, 5).double()]
    expected = roi_align(level, boxes, size, 1 / 8, ratio, aligned)
    pooled = pool([level], [1 / 8], boxes, torch.zeros(29, dtype=torch.int64), size, ratio, aligned)
    torch.testing.assert_close(pooled, expected)
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    (wanted,) = torch.autograd.grad(expected, level, weights)
    (got,) = torch.autograd.grad(pooled, level, weights)
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize(("aligned", "ratio"), in_turns([False, True], [0, 2]))
def test_the_gradient_is_the_derivative_in_float64(aligned: bool, ratio: int) -> None:
    levels = [level.requires_grad_() for level in pyramid(2, (32, 64), torch.float64).values()]
    boxes = [EDGE_CASES, random_boxes(3, 4).double()]
    level_of_roi = torch.tensor([0, 1, 0] * 4)

    def pool(*maps: Tensor) -> Tensor:
        return roi_align_rows(list(maps), (1 / 32, 1 / 64), boxes, level_of_roi, (3, 3), ratio, aligned)

    assert torch.autograd.gradcheck(pool, levels)


@pytest.mark.parametrize("aligned", [False, True])
def test_level_by_level_the_rois_keep_their_order(aligned: bool) -> None:
    levels, boxes = list(pyramid().values()), [random_boxes(9, 1), random_boxes(7, 2)]
    level_of_roi = torch.tensor([3, 0, 2, 0, 1, 3, 1, 2] * 2)
    arguments = ([1 / stride for stride in STRIDES], boxes, level_of_roi, (7, 7), 2, aligned)
    torch.testing.assert_close(roi_align_levels(levels, *arguments), roi_align_rows(levels, *arguments))


def test_an_aligned_layer_differs_from_one_that_is_not() -> None:
    boxes = [random_boxes(5, 0), random_boxes(5, 1)]
    layers = [MultiScaleRoIAlign(["0"], 7, 2, strides=(4,), aligned=aligned) for aligned in (True, False)]
    own, other = (layer(pyramid(), boxes, [IMAGE] * 2) for layer in layers)
    torch.testing.assert_close(own, roi_align(pyramid()["0"], boxes, 7, 1 / 4, 2, True), rtol=0, atol=1e-4)
    assert not torch.allclose(own, other)


def test_no_roi_at_all_gives_an_empty_result_that_stays_in_the_graph() -> None:
    maps = {name: level.requires_grad_() for name, level in pyramid().items()}
    pooled = MultiScaleRoIAlign(list("0123"), 7, 2)(maps, [torch.zeros(0, 4)] * 2, [IMAGE, IMAGE])
    assert pooled.shape == (0, 5, 7, 7)
    pooled.sum().backward()
    assert maps["0"].grad is not None


def test_channels_last_features_give_the_same() -> None:
    maps, boxes = pyramid(), [random_boxes(5, 0), random_boxes(5, 1)]
    last = {name: level.contiguous(memory_format=torch.channels_last) for name, level in maps.items()}
    layer = MultiScaleRoIAlign(list("0123"), 7, 2)
    torch.testing.assert_close(layer(last, boxes, [IMAGE] * 2), layer(maps, boxes, [IMAGE] * 2))


def test_half_precision_features_are_summed_in_float32() -> None:
    boxes = [random_boxes(5, 0), random_boxes(5, 1)]
    layer = MultiScaleRoIAlign(list("0123"), 7, 2)
    halves = {name: level.bfloat16() for name, level in pyramid().items()}
    pooled = layer(halves, boxes, [IMAGE] * 2)
    exact = layer({name: level.float() for name, level in halves.items()}, boxes, [IMAGE] * 2)
    assert pooled.dtype == torch.bfloat16
    torch.testing.assert_close(pooled, exact.bfloat16())


def test_given_strides_hold_where_guessing_from_a_small_image_in_its_padding_errs() -> None:
    padded, boxes = {"0": torch.arange(64.0).view(1, 1, 8, 8)}, [torch.tensor([[4.0, 4.0, 16.0, 16.0]])]
    known = MultiScaleRoIAlign(["0"], 2, 2, strides=(4,))(padded, boxes, [(20, 20)])
    truth = Reference(["0"], 2, 2)(padded, boxes, [(32, 32)])
    torch.testing.assert_close(known, truth)
    assert not torch.allclose(Reference(["0"], 2, 2)(padded, boxes, [(20, 20)]), truth)


@pytest.mark.parametrize("level_names", [["0"], ["0", "1"]])
def test_it_has_no_parameters(level_names: list[str]) -> None:
    assert not MultiScaleRoIAlign(level_names, 7, 2, strides=STRIDES[: len(level_names)]).state_dict()
