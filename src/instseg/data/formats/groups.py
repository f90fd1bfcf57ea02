"""Groups of shapes: those of one label and group are parts of one instance, if the groups tell instances apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from instseg.core.errors import InstsegError
from instseg.data.reading.findings import Findings

GROUPS = ("join", "ignore")


@dataclass(slots=True)
class Groups:
    """The groups in the labels of all images, to see whether they tell instances apart."""

    of_labels: defaultdict[str, set[object]] = field(default_factory=lambda: defaultdict(set))
    joined: list[str] = field(default_factory=list)  # images in which several shapes of a label are one instance
    num_images: int = 0  # with shapes

    def add(self, shapes: Iterable[tuple[str, object]], image: str) -> None:
        """Note the groups of one image.

        Args:
            shapes: label and group of each; None for a shape without a group.
            image: its name, or that of its label file.
        """
        shapes = list(shapes)
        for label, group in shapes:
            self.of_labels[label].add(group)
        self.num_images += bool(shapes)
        if len(shapes) > len(set(shapes)):
            self.joined.append(image)

    def joined_for_no_reason(self) -> list[str]:
        """Return the images with joined shapes if every label has one group in all images, as where it is its number.

        One image is too few to tell: its only object of a label may have several parts.
        """
        alike = all(len(groups) == 1 and None not in groups for groups in self.of_labels.values())
        return self.joined if alike and self.num_images > 1 else []


def check_groups(groups: str) -> None:
    """Raise InstsegError for an unknown value of the option ``groups``."""
    if groups not in GROUPS:
        raise InstsegError(f"dataset.groups={groups}: expected one of {', '.join(GROUPS)}")


def tell_groups(groups: Groups, image_format: str, findings: Findings) -> None:
    """Record the images in which shapes are joined for no reason, with the option that reads each as an instance.

    Args:
        groups: of all images.
        image_format: name of the format.
        findings: gets them.
    """
    for image in groups.joined_for_no_reason():
        how = f"dataset={image_format} dataset.groups=ignore reads each shape as an instance"
        findings.add("groups_alike", f"{image} ({how})")


def plain_group(group: object) -> int | float | str | None:
    """Return a group id that can tell instances apart; None for anything else."""
    return group if isinstance(group, int | float | str) else None
