"""Many cases of one kind: a few of them by default, all of them with the slow set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first(number: int, cases: Iterable[Any]) -> list[Any]:
    """The cases for ``pytest.mark.parametrize``, in tuples for several names: few by default."""
    return [
        case if at < number else pytest.param(*(case if isinstance(case, tuple) else [case]), marks=pytest.mark.slow)
        for at, case in enumerate(cases)
    ]


def in_turns(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    """All pairs, of which those are slow that are not needed for each case of ``one`` to be there once."""
    ones, others = list(one), list(other)
    return [
        pytest.param(a, b, id=f"{a}-{b}", marks=() if others[at % len(others)] == b else pytest.mark.slow)
        for at, a in enumerate(ones)
        for b in others
    ]
