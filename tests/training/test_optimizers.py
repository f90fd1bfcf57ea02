"""Learning rates follow the batch, schedules follow the run."""

import copy

import pytest
import torch
from torch import nn

from instseg.core.errors import InstsegError
from instseg.training.optimizers import (
    build_adamw,
    build_sgd,
    constant,
    parameter_groups,
    scaled_lr,
    warmup_cosine,
    warmup_multistep,
)

WARMUP = {"warmup_steps": 10, "warmup_max_fraction": 0.5, "warmup_start_factor": 0.1}


def small_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.GroupNorm(2, 4))


def learning_rates(build, num_steps: int) -> list[float]:
    optimizer = torch.optim.SGD(small_network().parameters(), lr=1.0)
    scheduler = build(optimizer, num_steps)
    rates = []
    for _ in range(num_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(("rule", "expected"), [("linear", 0.08), ("sqrt", 0.02828), ("none", 0.01)])
def test_the_learning_rate_scales_with_the_effective_batch(rule, expected):
    assert scaled_lr(0.01, effective_batch_size=16, base_batch_size=2, lr_scaling=rule) == pytest.approx(expected, 1e-3)


def test_an_unknown_scaling_is_refused_with_the_known_ones():
    with pytest.raises(InstsegError, match=r"optimizer\.lr_scaling=cubic.*linear, sqrt, none"):
        scaled_lr(0.01, 16, 2, "cubic")


def test_normalisation_layers_do_not_decay_and_frozen_parameters_are_left_out():
    network = small_network()
    network[0].bias.requires_grad_(False)
    decaying, free = parameter_groups(network, weight_decay=0.1)
    assert [p.shape for p in decaying["params"]] == [network[0].weight.shape]
    assert len(free["params"]) == 4
    assert (decaying["weight_decay"], free["weight_decay"]) == (0.1, 0.0)


def test_the_builders_apply_the_scaling():
    options = {"weight_decay": 0.0, "base_batch_size": 2}
    sgd = build_sgd(small_network(), 8, lr=0.01, momentum=0.9, nesterov=False, lr_scaling="linear", **options)
    adamw = build_adamw(small_network(), 8, lr=0.01, betas=[0.9, 0.99], lr_scaling="sqrt", **options)
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.04)
    assert adamw.param_groups[0]["lr"] == pytest.approx(0.02)


def test_warm_up_rises_in_a_straight_line_and_then_stays():
    rates = learning_rates(lambda o, n: constant(o, n, **WARMUP), 30)
    assert rates[0] == pytest.approx(0.1)
    assert rates[5] == pytest.approx(0.55)
    assert rates[10:] == [1.0] * 20


def test_warm_up_never_takes_more_than_its_share_of_a_short_run():
    rates = learning_rates(lambda o, n: constant(o, n, **{**WARMUP, "warmup_steps": 1000}), 20)
    assert rates[10] == 1.0


def test_multistep_drops_at_shares_of_the_run():
    rates = learning_rates(lambda o, n: warmup_multistep(o, n, milestones=[0.5, 0.9], gamma=0.1, **WARMUP), 40)
    assert rates[19] == 1.0
    assert rates[20] == pytest.approx(0.1)
    assert rates[36] == pytest.approx(0.01)


def test_a_milestone_in_epochs_is_refused():
    with pytest.raises(InstsegError, match="fractions of the run"):
        learning_rates(lambda o, n: warmup_multistep(o, n, milestones=[8, 11], gamma=0.1, **WARMUP), 10)


def test_cosine_falls_to_its_final_factor():
    rates = learning_rates(lambda o, n: warmup_cosine(o, n, final_factor=0.01, **{**WARMUP, "warmup_steps": 0}), 100)
    assert rates[0] == 1.0
    assert rates[50] == pytest.approx(0.505)
    assert rates[99] == pytest.approx(0.01, abs=0.001)
    assert rates == sorted(rates, reverse=True)


def test_the_fused_step_is_the_usual_one_and_leaves_unscaling_to_the_scaler():
    options = {"weight_decay": 0.1, "base_batch_size": 2, "lr": 0.01, "lr_scaling": "none"}
    for build, own, usual in (
        (build_sgd, {"momentum": 0.9, "nesterov": False}, torch.optim.SGD),
        (build_adamw, {"betas": [0.9, 0.99]}, torch.optim.AdamW),
    ):
        torch.manual_seed(0)
        network = small_network()
        reference = copy.deepcopy(network)
        fused = build(network, 2, **own, **options)
        plain = usual(parameter_groups(reference, 0.1), lr=0.01, fused=False, **own)
        for optimizer, trained in ((fused, network), (plain, reference)):
            for step in range(3):
                for parameter in trained.parameters():
                    parameter.grad = torch.full_like(parameter, step - 0.5)
                optimizer.step()
        for ours, expected in zip(network.parameters(), reference.parameters(), strict=True):
            torch.testing.assert_close(ours, expected)
        assert fused.param_groups[0]["fused"] and not fused._step_supports_amp_scaling
