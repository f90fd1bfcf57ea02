"""Type of the context that torch hands to a custom gradient, of which its own class declares too little."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Context(Protocol):
    """The context of a ``torch.autograd.Function``."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keep tensors for the backward pass."""
