"""Optimizers whose learning rate scales with the batch size, and schedules with warm-up that move at every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol, cast

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
    """Return the learning rate for the effective batch size.

    Args:
        lr: learning rate for ``base_batch_size`` images a step.
        effective_batch_size: images per optimizer step over all processes.
        base_batch_size: batch size that ``lr`` is meant for.
        lr_scaling: one of ``LR_SCALING``.

    Raises:
        InstsegError: there is no such scaling.
    """
    if lr_scaling not in LR_SCALING:
        raise InstsegError(f"optimizer.lr_scaling={lr_scaling}: expected one of {', '.join(LR_SCALING)}")
    return lr * LR_SCALING[lr_scaling](effective_batch_size / base_batch_size)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Return the trainable parameters as groups for an optimizer; those of normalisation layers do not decay.

    Args:
        model: the model.
        weight_decay: of all other parameters.
    """
    norm_types = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)
    norm_ids = {id(p) for m in model.modules() if isinstance(m, norm_types) for p in m.parameters(recurse=False)}
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if id(p) not in norm_ids], "weight_decay": weight_decay},
        {"params": [p for p in trainable if id(p) in norm_ids], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class _Fused(Protocol):
    """A fused optimizer: its step is one pass over the weights, a tenth of the time for AdamW."""

    _step_supports_amp_scaling: bool


def _clippable(optimizer: Optimizer) -> Optimizer:
    """Declare that a fused optimizer does not unscale the gradients.

    With precision=16-mixed it would do so in its step, after gradient_clip_val; now the scaler does it before.
    """
    cast("_Fused", optimizer)._step_supports_amp_scaling = False
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
    """Build SGD over the trainable parameters of a model.

    Args:
        model: the model.
        effective_batch_size: images per optimizer step over all processes.
        lr: learning rate for ``base_batch_size`` images a step.
        momentum: of SGD.
        weight_decay: of all parameters but those of normalisation layers.
        nesterov: use Nesterov momentum.
        base_batch_size: batch size that ``lr`` is meant for.
        lr_scaling: one of ``LR_SCALING``.

    Raises:
        InstsegError: there is no such scaling.
    """
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
    """Build AdamW over the trainable parameters of a model.

    Args:
        model: the model.
        effective_batch_size: images per optimizer step over all processes.
        lr: learning rate for ``base_batch_size`` images a step.
        betas: decay of the two running averages.
        weight_decay: of all parameters but those of normalisation layers.
        base_batch_size: batch size that ``lr`` is meant for.
        lr_scaling: one of ``LR_SCALING``.

    Raises:
        InstsegError: there is no such scaling.
    """
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
    """Return a schedule with warm-up; ``factor`` maps the finished fraction of the run to a multiple of the lr."""
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
    """Build a schedule that multiplies the learning rate by ``gamma`` at each milestone.

    Args:
        optimizer: the optimizer.
        num_steps: optimizer steps of the whole run.
        milestones: fractions of the run, each between 0 and 1.
        gamma: the factor.
        warmup_steps: steps of the linear warm-up.
        warmup_max_fraction: largest fraction of the run for the warm-up.
        warmup_start_factor: fraction of the learning rate at the first step.

    Raises:
        InstsegError: a milestone is outside the run.
    """
    if not all(0 < m < 1 for m in milestones):
        raise InstsegError(f"scheduler.milestones={list(milestones)}: expected fractions of the run between 0 and 1")

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
    """Build a cosine schedule without restarts (Loshchilov & Hutter, 2017).

    Args:
        optimizer: the optimizer.
        num_steps: optimizer steps of the whole run.
        final_factor: fraction of the learning rate at the end.
        warmup_steps: steps of the linear warm-up.
        warmup_max_fraction: largest fraction of the run for the warm-up.
        warmup_start_factor: fraction of the learning rate at the first step.
    """

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
    """Build a schedule of a constant learning rate after the warm-up.

    Args:
        optimizer: the optimizer.
        num_steps: optimizer steps of the whole run.
        warmup_steps: steps of the linear warm-up.
        warmup_max_fraction: largest fraction of the run for the warm-up.
        warmup_start_factor: fraction of the learning rate at the first step.
    """
    return _with_warmup(optimizer, num_steps, warmup_steps, warmup_max_fraction, warmup_start_factor, lambda done: 1.0)
