"""Optimizers whose learning rate follows the batch, and step-wise schedules with warm-up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from instseg.core.errors import InstsegError

LR_SCALING: dict[str, Callable[[float], float]] = {
    "linear": lambda ratio: ratio,  # Goyal et al., 2017, for SGD
    "sqrt": math.sqrt,  # Krizhevsky, 2014; the usual choice for Adam
    "none": lambda ratio: 1.0,
}


def scaled_lr(lr: float, effective_batch_size: int, base_batch_size: int, lr_scaling: str) -> float:
    """``lr`` is meant for ``base_batch_size`` images a step; return it for ``effective_batch_size``."""
    if lr_scaling not in LR_SCALING:
        raise InstsegError(f"optimizer.lr_scaling={lr_scaling}: expected one of {', '.join(LR_SCALING)}")
    return lr * LR_SCALING[lr_scaling](effective_batch_size / base_batch_size)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Trainable parameters; those of normalisation layers decay towards 0 for no good, so they do not decay."""
    norm_types = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)
    norm_ids = {id(p) for m in model.modules() if isinstance(m, norm_types) for p in m.parameters(recurse=False)}
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if id(p) not in norm_ids], "weight_decay": weight_decay},
        {"params": [p for p in trainable if id(p) in norm_ids], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _clippable(optimizer: Optimizer) -> Optimizer:
    """Fused, the step is one pass over the weights: a tenth of the time for AdamW.

    With precision=16-mixed a fused optimizer would undo the scaling of the gradients on its own, too late for
    gradient_clip_val; so declared, the scaler does it before.
    """
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
    return optimizer


def build_sgd(
    model: nn.Module,
    effective_batch_size: int,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
    base_batch_size: int,
    lr_scaling: str,
) -> Optimizer:
    """SGD over the trainable parameters of ``model``; see ``scaled_lr`` for how ``lr`` is meant."""
    lr = scaled_lr(lr, effective_batch_size, base_batch_size, lr_scaling)
    return _clippable(
        SGD(parameter_groups(model, weight_decay), lr=lr, momentum=momentum, nesterov=nesterov, fused=True)
    )


def build_adamw(
    model: nn.Module,
    effective_batch_size: int,
    *,
    lr: float,
    betas: Sequence[float],
    weight_decay: float,
    base_batch_size: int,
    lr_scaling: str,
) -> Optimizer:
    """AdamW over the trainable parameters of ``model``; see ``scaled_lr`` for how ``lr`` is meant."""
    lr = scaled_lr(lr, effective_batch_size, base_batch_size, lr_scaling)
    return _clippable(AdamW(parameter_groups(model, weight_decay), lr=lr, betas=(betas[0], betas[1]), fused=True))


def _with_warmup(
    optimizer: Optimizer,
    num_steps: int,
    warmup_steps: int,
    warmup_max_fraction: float,
    warmup_start_factor: float,
    factor: Callable[[float], float],
) -> LambdaLR:
    """``factor`` maps the share of the run that is done to a multiple of the lr; warm-up multiplies from below."""
    warmup = min(warmup_steps, int(num_steps * warmup_max_fraction))

    def multiple(step: int) -> float:
        ramp = 1.0 if step >= warmup else warmup_start_factor + (1 - warmup_start_factor) * step / warmup
        return ramp * factor(min(step / max(num_steps, 1), 1.0))

    return LambdaLR(optimizer, multiple)


def warmup_multistep(
    optimizer: Optimizer,
    num_steps: int,
    *,
    milestones: Sequence[float],
    gamma: float,
    warmup_steps: int,
    warmup_max_fraction: float,
    warmup_start_factor: float,
) -> LambdaLR:
    """Times ``gamma`` at each milestone, given as shares of the run in 0..1."""
    if not all(0 < m < 1 for m in milestones):
        raise InstsegError(f"scheduler.milestones={list(milestones)}: expected shares of the run between 0 and 1")

    def factor(done: float) -> float:
        return float(gamma ** sum(done >= milestone for milestone in milestones))

    return _with_warmup(optimizer, num_steps, warmup_steps, warmup_max_fraction, warmup_start_factor, factor)


def warmup_cosine(
    optimizer: Optimizer,
    num_steps: int,
    *,
    final_factor: float,
    warmup_steps: int,
    warmup_max_fraction: float,
    warmup_start_factor: float,
) -> LambdaLR:
    """Half a cosine from 1 down to ``final_factor`` (Loshchilov & Hutter, 2017, without restarts)."""

    def factor(done: float) -> float:
        return final_factor + (1 - final_factor) * (1 + math.cos(math.pi * done)) / 2

    return _with_warmup(optimizer, num_steps, warmup_steps, warmup_max_fraction, warmup_start_factor, factor)


def constant(
    optimizer: Optimizer,
    num_steps: int,
    *,
    warmup_steps: int,
    warmup_max_fraction: float,
    warmup_start_factor: float,
) -> LambdaLR:
    """The same learning rate from the end of the warm-up on."""
    return _with_warmup(optimizer, num_steps, warmup_steps, warmup_max_fraction, warmup_start_factor, lambda done: 1.0)
