"""Intervals from a hundred resamples in place of thousands, which take half a second for each training of the tests."""

from __future__ import annotations

import pytest

from instseg.evaluation import intervals


def draw_few(patch: pytest.MonkeyPatch) -> None:
    """Have ``resamples_for`` return 100."""
    patch.setattr(intervals, "RESAMPLES", 100)
    patch.setattr(intervals, "MIN_RESAMPLES", 100)
