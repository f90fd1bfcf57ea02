"""The precision that a device is fastest in."""

import pytest
import torch

from instseg.core.precision import autocast, fastest_precision


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_f": True}, "32-true"),  # computes in bfloat16, slower
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True, "avx512_bf16": False}, "bf16-mixed"),
        ({"amx_bf16": False, "avx512_bf16": False}, "32-true"),
        ({}, "32-true"),  # another architecture
    ],
)
def test_a_cpu_uses_bfloat16_where_it_has_instructions_for_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert fastest_precision("cpu") == expected


@pytest.mark.parametrize(("is_ampere", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_uses_it_where_it_need_not_emulate_it(monkeypatch, is_ampere, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: is_ampere or including_emulation)
    assert fastest_precision("cuda") == expected


def test_another_device_computes_in_float32():
    assert fastest_precision("mps") == "32-true"


@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_a_product_is_computed_in_the_precision(precision, dtype):
    with autocast(torch.device("cpu"), precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
