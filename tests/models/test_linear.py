"""The product of either library has the values and gradients of F.linear."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from instseg.models import linear as module
from instseg.models.linear import linear


@pytest.mark.parametrize(("rows", "features", "outputs"), [(1, 3, 2), (7, 5, 4), (64, 96, 33)])
def test_values_and_gradients_are_those_of_a_linear_layer(
    monkeypatch: pytest.MonkeyPatch, rows: int, features: int, outputs: int
) -> None:
    monkeypatch.setattr(module, "_onednn_is_faster", lambda: True)  # on whatever machine the test runs
    torch.manual_seed(0)
    shapes = (rows, features), (outputs, features), (outputs,)
    upstream, found = torch.randn(rows, outputs), []
    tensors = [torch.randn(shape) for shape in shapes]
    for function in (linear, F.linear):
        inputs = [tensor.clone().requires_grad_() for tensor in tensors]
        product = function(*inputs)
        product.backward(upstream)
        found.append([product, *(tensor.grad for tensor in inputs)])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [0, 3])
def test_no_rows_and_double_precision_go_the_usual_way(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(module, "_onednn_is_faster", lambda: True)
    x, weight, bias = torch.ones(rows, 4).double(), torch.ones(2, 4).double(), torch.zeros(2).double()
    assert linear(x, weight, bias).tolist() == [[4.0, 4.0]] * rows
