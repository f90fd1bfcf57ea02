"""Category names, their mapping between json category ids and network labels, and a colour for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from instseg.core.errors import InstsegError
from instseg.core.text import did_you_mean, list_names, similar_names
from instseg.core.types import CocoCategory


@dataclass(frozen=True, slots=True)
class Categories:
    """Ordered category names; label ``i + 1`` means ``names[i]``, label 0 is the background."""

    names: tuple[str, ...]
    _labels: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_labels", {name: label for label, name in enumerate(self.names, start=1)})
        duplicates = sorted(name for name, count in Counter(self.names).items() if count > 1)
        if duplicates:
            raise InstsegError(f"categories: names must be unique, found twice: {list_names(duplicates)}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def num_classes(self) -> int:
        """Number of categories plus one for the background."""
        return len(self.names) + 1

    def label(self, name: str) -> int:
        """Return the label (from 1) of a name."""
        return self._labels[name]

    def name(self, label: int) -> str:
        """Return the name of a label (from 1)."""
        if label < 1:
            raise IndexError(f"label {label} is no category: labels start at 1")
        return self.names[label - 1]

    def check_same(self, other: Categories, self_is: str, other_is: str) -> None:
        """Require the same names in the same order.

        Args:
            other: the categories to compare with.
            self_is: what these categories belong to, for the message.
            other_is: what the others belong to.

        Raises:
            InstsegError: they differ; the message says in what.
        """
        if self.names == other.names:
            return
        of_self, of_other = {*self.names}, {*other.names}
        only_self = [name for name in self.names if name not in of_other]
        only_other = [name for name in other.names if name not in of_self]
        parts = []
        if only_self:
            parts.append(f"only in {self_is}: {list_names(only_self)}")
        if only_other:
            parts.append(f"only in {other_is}: {list_names(only_other)}")
        if not parts:
            parts.append(
                f"order in {self_is}: {list_names(self.names)}; order in {other_is}: {list_names(other.names)}"
            )
        raise InstsegError(f"categories of {self_is} and {other_is} differ; " + "; ".join(parts))

    def to_coco(self) -> list[CocoCategory]:
        """Return COCO category entries whose ids are the labels."""
        return [{"id": label, "name": name} for label, name in enumerate(self.names, start=1)]

    def id_to_label(self, coco_categories: Iterable[CocoCategory]) -> dict[int, int]:
        """Map the json's category ids to labels; categories of the json that are not among these are left out."""
        labels = {name: label for label, name in enumerate(self.names, start=1)}
        return {c["id"]: labels[c["name"]] for c in coco_categories if c["name"] in labels}


def select_names(available: Sequence[str], wanted: str | Sequence[str] | None, where: str) -> tuple[str, ...]:
    """Select category names by what the user wants.

    Args:
        available: all names.
        wanted: one name or several in the order they shall have; all where there is nothing in it.
        where: origin of the names, for the message.

    Raises:
        InstsegError: a wanted name is not available.
    """
    if not wanted:
        return tuple(available)
    if isinstance(wanted, str):  # categories=car, without brackets
        wanted = [wanted]
    known = set(available)
    missing = [name for name in wanted if name not in known]
    if missing:
        meant = did_you_mean(similar_names(missing[0], available))
        raise InstsegError(
            f"{where}: no category named {list_names(missing)}.{meant} There are {list_names(available, 30)}"
        )
    return tuple(wanted)
