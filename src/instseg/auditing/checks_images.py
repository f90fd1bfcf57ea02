"""Check of duplicate images, above all across splits: with the same bytes, or alike."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instseg.auditing.report import MAX_SPOTS, AuditFinding, Severity, Spot
from instseg.auditing.tables import Tables
from instseg.core.shell_overrides import override
from instseg.data.reading.folders import common_root, prefix_from
from instseg.data.splits.near_duplicates import perceptual_hashes, similar_groups

MAX_LEAKED_FRACTION = 0.2
MAX_COMPARED = 1000  # of a split, in a group of near duplicates such as a film, to find the nearest
SAME = {"identical": "the same file", "similar": "nearly the same picture"}
LEAK_ADVICE = "The network is measured on images that it has seen. {} audit.json names each pair."
LEAVE_OUT = "This splits file leaves the earlier split's copies out."
DIVIDE = {
    "identical": "Take them out of one split (stage=audit writes a splits file for it), or split the images again.",
    "similar": "Look whether they show the same scene; if so, split the images again, or leave some out.",
}
DIVIDE_COMMAND = "dataset.folds=5 dataset.fold=0 dataset.group_by=similar"


@dataclass(frozen=True, slots=True)
class ImageList:
    """All images of all splits, train first, numbered from 0."""

    tables: Tables
    splits: list[str]
    positions: list[int]  # of each image in the index of its split
    paths: list[Path]

    def spot(self, n: int, detail: str = "", other: Spot | None = None) -> Spot:
        """Describe an image as the place of a finding.

        Args:
            n: its number.
            detail: what is wrong there.
            other: the image that it repeats.
        """
        return replace(self.tables[self.splits[n]].image_spot(self.positions[n], detail), other=other)

    def split_name(self, n: int) -> tuple[str, str]:
        """Return split and file name of an image, as in ``splits.json``."""
        root = common_root([table.index.image_root for table in self.tables.values()])
        index = self.tables[self.splits[n]].index
        return self.splits[n], prefix_from(root, index.image_root) + index.file_name(self.positions[n])

    def __len__(self) -> int:
        return len(self.paths)


def list_images(tables: Tables) -> ImageList:
    """Number the images of all splits."""
    places = [(split, i) for split, table in tables.items() for i in range(len(table.index))]
    paths = [tables[split].index.path(i) for split, i in places]
    return ImageList(tables, [split for split, _ in places], [i for _, i in places], paths)


def copy_findings(
    listed: ImageList, copies: Sequence[Sequence[int]], splits_file: Path | None = None
) -> list[AuditFinding]:
    """Report images with the same bytes, across splits and within one.

    Args:
        listed: all images.
        copies: groups of their numbers, as ``identical_files`` gives them.
        splits_file: a splits file without them, to recommend.
    """
    return _duplicates(listed, copies, "identical", lambda n, others: others[0], splits_file)


def similar_findings(listed: ImageList, copies: Sequence[Sequence[int]]) -> list[AuditFinding]:
    """Report near duplicates: images that look alike though their bytes differ; all are decoded at a small size.

    Args:
        listed: all images.
        copies: groups of numbers of images with the same bytes, of which one stands for all.
    """
    alone = np.ones(len(listed), dtype=np.bool_)
    for group in copies:  # of which one stands for all
        alone[list(group)[1:]] = False
    numbers = np.flatnonzero(alone)
    hashes = np.zeros((len(listed), 4), dtype=np.uint64)
    hashes[numbers] = perceptual_hashes([listed.paths[n] for n in numbers])

    def nearest(n: int, others: Sequence[int]) -> int:
        distances = np.bitwise_count(hashes[list(others)] ^ hashes[n]).sum(axis=1)
        return others[int(np.argmin(distances))]

    groups = _members(numbers, similar_groups(hashes[numbers]))
    return _duplicates(listed, groups, "similar", nearest)


def _members(numbers: NDArray[np.int64], group_of: NDArray[np.int64]) -> list[list[int]]:
    """List the numbers of each group that has two or more, ascending."""
    order = np.argsort(group_of, kind="stable")
    starts = np.flatnonzero(np.diff(group_of[order], prepend=-1))
    return [group.tolist() for group in np.split(numbers[order], starts[1:]) if len(group) > 1]


def _duplicates(
    listed: ImageList,
    groups: Sequence[Sequence[int]],
    kind: str,
    choose: Callable[[int, Sequence[int]], int],
    splits_file: Path | None = None,
) -> list[AuditFinding]:
    """Report leaks, images like one of a split before theirs, and copies, like one before them in their own split."""
    leaks: list[Spot] = []
    within: list[Spot] = []
    for group in groups:
        seen: dict[str, deque[int]] = {}
        for n in group:
            own = seen.setdefault(listed.splits[n], deque(maxlen=MAX_COMPARED))
            earlier = [other for split, others in seen.items() if split != listed.splits[n] for other in others]
            for others, spots in ((earlier, leaks), (list(own), within)):
                if others:
                    other = listed.spot(choose(n, others))
                    spots.append(listed.spot(n, f"like {other.name} of {other.split}", other))
            own.append(n)
    return [*_leaks(leaks, listed.tables, kind, splits_file), *_within(within, kind)]


def _leaks(spots: list[Spot], tables: Tables, kind: str, splits_file: Path | None) -> list[AuditFinding]:
    """Report leaks; fatal where byte copies of training images are more than a fifth of a split.

    Near duplicates are not fatal: a fixed camera sees the same place every day, and only a person can tell.
    """
    counts = _counts(spots)
    if not counts:
        return []
    from_train = _counts([spot for spot in spots if spot.other is not None and spot.other.split == "train"])
    many = any(count > MAX_LEAKED_FRACTION * len(tables[split].index) for split, count in from_train.items())
    fractions = ", ".join(f"{count / len(tables[split].index):.0%} of {split}" for split, count in counts.items())
    return [
        AuditFinding(
            f"leak_{kind}",
            Severity.FATAL if many and kind == "identical" else Severity.WARNING,
            f"images ({fractions}) that are {SAME[kind]} as an image of another split",
            counts,
            tuple(spots[:MAX_SPOTS]),
            LEAK_ADVICE.format(LEAVE_OUT if splits_file else DIVIDE[kind]),
            (override("dataset.splits_file", str(splits_file)) if splits_file else DIVIDE_COMMAND,),
        )
    ]


def _within(spots: list[Spot], kind: str) -> list[AuditFinding]:
    if not spots:
        return []
    advice = "They count several times in training; labels of copies that differ contradict each other."
    title = f"images that are {SAME[kind]} as another of their split"
    return [AuditFinding(f"copy_{kind}", Severity.INFO, title, _counts(spots), tuple(spots[:MAX_SPOTS]), advice)]


def _counts(spots: Sequence[Spot]) -> dict[str, int]:
    return {split: sum(spot.split == split for spot in spots) for split in dict.fromkeys(s.split for s in spots)}
