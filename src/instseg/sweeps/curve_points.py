"""The points of learning curves: what jobs on parts of the training images have reached."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from instseg.core.errors import InstsegError
from instseg.sweeps.groups import by_others
from instseg.sweeps.records import JobRecord

SEED = "seed"
TRAIN_FRACTION = "train_fraction"
"""Key of the config for the fraction of the training images that is trained on."""
Curve = Mapping[float, Sequence[JobRecord]]
"""Fraction of the training images, ascending -> its jobs, of which there are several where seeds were swept."""


def curves_of(records: Sequence[JobRecord]) -> Mapping[str, Curve]:
    """Return combination of what else was swept, over all seeds, as a label -> its curve of measured jobs."""
    curves = {others: _by_fraction(group) for others, group in by_others(records, TRAIN_FRACTION, SEED).items()}
    return {others: curve for others, curve in curves.items() if curve}


def _by_fraction(records: Sequence[JobRecord]) -> Curve:
    found: dict[float, list[JobRecord]] = defaultdict(list)
    for record in records:
        if record.is_measured:
            found[_fraction_of(record)].append(record)
    return dict(sorted(found.items()))


def _fraction_of(record: JobRecord) -> float:
    text = record.values[TRAIN_FRACTION]
    try:
        fraction = float(text)
    except ValueError:
        fraction = math.nan
    if not 0 < fraction <= 1:
        raise InstsegError(
            f"job {record.number}: {TRAIN_FRACTION}: expected a number above 0 and up to 1, found {text!r}"
        )
    return fraction
