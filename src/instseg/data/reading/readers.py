"""The readers of label formats: what each of them offers, and how one is made from a configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, get_type_hints

from instseg.core.errors import InstsegError
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import Labels
from instseg.data.reading.option_values import typed


class LabelReader(Protocol):
    """One annotation format. A reader is a frozen dataclass of ``root`` (a folder or file) and its options.

    Everything that is wrong with the labels as a whole raises InstsegError with the path, what was expected and what
    was found; what is wrong with one image or shape is left out or repaired, and added to the findings.
    """

    @property
    def root(self) -> Path: ...

    def label_files(self) -> Iterable[Path]:
        """All files that the result depends on, images aside: their path, size and time tell whether it is stale."""
        ...

    def read(self, findings: Mapping[str, Findings]) -> dict[str, Labels]:
        """Split name (train, val, test; ``UNSPLIT`` where there are none) -> its labels.

        Every split lists the same categories. ``findings[split]`` exists for every split (a defaultdict).
        """
        ...


def make_reader(
    reader: Callable[..., LabelReader], root: Path, options: Mapping[str, Any], cache_dir: Path
) -> LabelReader:
    """The reader of a folder with its own options; those that keep files get ``cache_dir`` as text.

    InstsegError for an option that this format does not have, or that has another type of value.
    """
    known = list(inspect.signature(reader).parameters)
    wrong = [option for option in options if option not in known or option in ("root", "cache_dir")]
    if wrong:
        raise InstsegError(f"dataset.{wrong[0]}: this format has no such option; it has {', '.join(known)}")
    hints = get_type_hints(getattr(reader, "func", reader))  # of a partial: what it calls
    given = {option: typed(option, value, hints[option]) for option, value in options.items()}
    return reader(root, **({"cache_dir": str(cache_dir)} if "cache_dir" in known else {}), **given)
