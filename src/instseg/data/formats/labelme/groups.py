"""Group ids of LabelMe's shapes: those of one label and group are parts of one instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Groups:
    """The group ids of all label files, to see whether they tell instances apart."""

    used: set[object] = field(default_factory=set)
    files: list[str] = field(default_factory=list)  # in which several shapes of a label are joined

    def add(self, shapes: Sequence[object], file: str) -> None:
        """Note the groups of one file.

        Args:
            shapes: the entries of the json's list.
            file: its name.
        """
        groups = [(shape.get("label"), shape.get("group_id")) for shape in shapes if isinstance(shape, Mapping)]
        self.used |= {plain_group(group) for _, group in groups}
        if len(groups) > len({(str(label), str(group)) for label, group in groups}):
            self.files.append(file)

    def files_joined_for_no_reason(self) -> list[str]:
        """Return the files with joined shapes if every shape of the dataset has the same group."""
        return self.files if len(self.used) == 1 and self.used != {None} else []


def plain_group(group: object) -> object:
    """Return a group id that can tell instances apart; None for anything else."""
    return group if isinstance(group, int | float | str) else None
