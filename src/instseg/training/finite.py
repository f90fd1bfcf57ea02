"""The stop of a training at a loss that is not finite, without a wait for the GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from instseg.core.errors import InstsegError


class NonFiniteLossError(InstsegError):
    """Error of a loss that is NaN or infinite; no checkpoint holds the weights after it."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One training step, whose losses may still be on their way to the host."""

    names: Sequence[str]
    values: Tensor  # the losses, and at the end their sum; on the CPU
    arrived: torch.Event | None  # None if they are on the host already
    number: int
    image_ids: Sequence[int]
    lr: float

    def raise_if_not_finite(self) -> None:
        if self.arrived is not None:
            self.arrived.synchronize()
        if torch.isfinite(self.values[-1]):
            return
        terms = ", ".join(f"{name}={value:.4g}" for name, value in zip(self.names, self.values.tolist(), strict=False))
        late = "" if self.arrived is None else "; found one step later, no checkpoint holds the weights after it"
        raise NonFiniteLossError(
            f"the loss is not finite at step {self.number}: {terms}; image ids {self.image_ids}; lr {self.lr:.3g}{late}"
            ". Try a smaller optimizer.lr, more scheduler.warmup_steps, or trainer.gradient_clip_val=1"
        )


class FiniteCheck:
    """The check of each step's loss.

    On a CPU the loss is checked before the backward pass: the weights of the last finite step are still in place. On a
    GPU that would make the host wait in every step. So the values are copied asynchronously, and checked when the next
    step or a validation begins, a checkpoint is to be written, or the training ends. By then the optimizer has taken
    the step; the weights to resume from are those of the last checkpoint.
    """

    def __init__(self) -> None:
        self._pending: _Step | None = None

    def watch(self, losses: Mapping[str, Tensor], loss: Tensor, step: int, image_ids: Sequence[int], lr: float) -> None:
        """Check the loss of this step, or on a GPU that of the step before.

        Args:
            losses: the terms, scalars, by name.
            loss: their sum.
            step: number of the step, for the message.
            image_ids: of the batch, for the message.
            lr: learning rate, for the message.

        Raises:
            NonFiniteLossError: it is NaN or infinite.
        """
        self.check()
        values = torch.stack([*losses.values(), loss]).detach()
        arrived = None
        if values.is_cuda:
            values, arrived = values.to("cpu", non_blocking=True), torch.Event("cuda")
            arrived.record()
        self._pending = _Step(list(losses), values, arrived, step, image_ids, lr)
        if arrived is None:
            self.check()

    def check(self) -> None:
        """Check the step whose values are on their way, if there is one.

        Raises:
            NonFiniteLossError: its loss is NaN or infinite.
        """
        if self._pending is not None:
            self._pending.raise_if_not_finite()  # stays pending: every later check raises, too
            self._pending = None
