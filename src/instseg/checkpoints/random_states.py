"""States of the global random generators: captured for a checkpoint, and restored from one."""

from __future__ import annotations

import random
from typing import Annotated

import msgspec
import numpy as np
import torch
from torch import Tensor

from instseg.core.errors import InstsegError

NUM_KEYS = 624
"""Words in the state of a Mersenne Twister (Matsumoto and Nishimura, 1998), the generator of numpy and Python."""


class TwisterState(msgspec.Struct, frozen=True):
    """Words of numpy's generator, and the position among them."""

    key: Tensor
    """(624,) int64."""
    pos: Annotated[int, msgspec.Meta(ge=0, le=NUM_KEYS)]


class NumpyState(msgspec.Struct, frozen=True):
    """The state of numpy's global generator, with the names that numpy gives its parts."""

    bit_generator: str
    state: TwisterState
    has_gauss: int
    gauss: float


class RandomStates(msgspec.Struct, frozen=True):
    """The states of the generators of one process."""

    torch: Tensor
    """(B,) uint8, of the CPU."""
    cuda: Tensor | None
    """(B,) uint8, of the current GPU; None where none was used."""
    numpy: NumpyState
    python: tuple[int, tuple[int, ...], float | None]


def random_states() -> RandomStates:
    """Return the states in this process of torch (CPU and current GPU), numpy and Python."""
    of_numpy = np.random.get_state(legacy=False)  # noqa: NPY002
    twister = TwisterState(torch.from_numpy(of_numpy["state"]["key"].astype(np.int64)), of_numpy["state"]["pos"])
    return RandomStates(
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        numpy=NumpyState(of_numpy["bit_generator"], twister, of_numpy["has_gauss"], of_numpy["gauss"]),
        python=random.getstate(),
    )


def restore_random_states(states: RandomStates) -> None:
    """Set every generator of this process to the state that ``random_states`` returned.

    Raises:
        InstsegError: a state does not fit its generator.
    """
    try:
        torch.set_rng_state(states.torch)
        if states.cuda is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(states.cuda)
        twister = states.numpy.state
        if twister.key.shape != (NUM_KEYS,):
            raise ValueError(f"expected {NUM_KEYS} numbers of numpy's generator, found {list(twister.key.shape)}")
        key = twister.key.cpu().numpy().astype(np.uint32)
        state = (states.numpy.bit_generator, key, twister.pos, states.numpy.has_gauss, states.numpy.gauss)
        np.random.set_state(state)  # noqa: NPY002
        random.setstate(states.python)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise InstsegError(f"the random states of the checkpoint do not fit their generators: {error}") from error
