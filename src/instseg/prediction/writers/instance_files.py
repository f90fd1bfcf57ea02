"""Names of the files of single instances."""

from __future__ import annotations

import re
from collections.abc import Iterator

from instseg.core.categories import Categories
from instseg.core.types import Prediction

MAX_LETTERS = 60
"""Of a category in the name of a file."""
NOT_IN_NAMES = re.compile(r"[^\w-]+")
"""Characters that are replaced: separators, and those that some systems do not allow."""


def instance_files(prediction: Prediction, categories: Categories) -> Iterator[str]:
    """Yield ``01_car_0.98``, … for each instance, which sort by the score.

    Args:
        prediction: of one image, best score first.
        categories: names of its labels.
    """
    digits = max(2, len(str(len(prediction))))
    for number, (label, score) in enumerate(zip(prediction.labels, prediction.scores, strict=True), start=1):
        name = NOT_IN_NAMES.sub("_", categories.name(int(label)))[:MAX_LETTERS]
        yield f"{number:0{digits}}_{name}_{score:.2f}"
