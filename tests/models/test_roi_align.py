"""RoIAlign on the CPU: torchvision's values and gradients, computed another way."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign as Reference

from instseg.models.roi_align import MultiScaleRoIAlign, roi_align_rows

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
    ratio=st.integers(1, 3),
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


def test_the_gradient_is_the_derivative_in_float64() -> None:
    levels = [level.requires_grad_() for level in pyramid(2, (32, 64), torch.float64).values()]
    boxes = [random_boxes(2, 3).double(), random_boxes(1, 4).double()]
    level_of_roi = torch.tensor([0, 1, 0])

    def pool(*maps: Tensor) -> Tensor:
        return roi_align_rows(list(maps), (1 / 32, 1 / 64), boxes, level_of_roi, (3, 3), 2)

    assert torch.autograd.gradcheck(pool, levels)


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


def test_an_adaptive_sampling_ratio_is_left_to_torchvision() -> None:
    boxes = [random_boxes(5, 0), random_boxes(5, 1)]
    expected = Reference(list("0123"), 7, 0)(pyramid(), boxes, [IMAGE] * 2)
    torch.testing.assert_close(MultiScaleRoIAlign(list("0123"), 7, 0)(pyramid(), boxes, [IMAGE] * 2), expected)


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
