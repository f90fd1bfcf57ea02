"""The state of every global random generator, as plain containers and tensors."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def random_states() -> dict[str, Any]:
    """Of torch (CPU, and the current GPU where one is used), numpy and Python, in this process."""
    numpy_state: dict[str, Any] = np.random.get_state(legacy=False)  # noqa: NPY002
    keys = torch.from_numpy(numpy_state["state"]["key"].astype(np.int64))
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": {**numpy_state, "state": {"key": keys, "pos": numpy_state["state"]["pos"]}},
        "python": random.getstate(),
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """What ``random_states`` has returned."""
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"].cpu())
    numpy_state = states["numpy"]
    keys = numpy_state["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state({**numpy_state, "state": {"key": keys, "pos": numpy_state["state"]["pos"]}})  # noqa: NPY002
    random.setstate(states["python"])
