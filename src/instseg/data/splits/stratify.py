"""Stratified division of images into parts of about the same mix of categories, with groups of images undivided.

Iterative stratification (Sechidis, Tsoumakas, Vlahavas 2011): the category with the fewest images left is distributed
next, as it leaves the least choice; the other categories of its images are counted towards those.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.text import plural

Numbers = NDArray[np.int64]
MAX_SPARED = 0.5
"""Fraction of a part that may go to images it has only so that no category is missing, beyond the category's own."""


def stratify(
    labels: Sequence[Collection[str]], ratios: Mapping[str, float], groups: Sequence[Hashable], order: Sequence[int]
) -> list[str]:
    """Return the part of each of N images, in sizes as the ratios and alike in categories.

    A category is cut into parts along ``order``, so a few images more move few others; how few cannot be promised, as
    categories hang together. Every part gets a group, and sizes are exact where every image is alone; the difference is
    taken from the most frequent category. Every part gets each category that has groups enough, as far as rarer
    categories and ``MAX_SPARED`` leave them; where there are too few, larger parts come first.

    Args:
        labels: (N,) the categories of each image; images without any are a stratum of their own.
        ratios: part -> its size on any scale, above 0.
        groups: (N,) images of the same value go together.
        order: (N,) a rank of each image; a group has its lowest.

    Raises:
        InstsegError: there are fewer groups than parts.
    """
    group_of = _numbered(groups, order)
    num_groups = int(group_of.max(initial=-1)) + 1
    if num_groups < len(ratios):
        raise InstsegError(
            f"{plural(len(groups), 'image')} in {plural(num_groups, 'group')} cannot be split into {len(ratios)} parts "
            f"({', '.join(ratios)}), a group being never divided: {_way_out(len(groups), num_groups, ratios)}"
        )
    division = _Division(_counts(labels, group_of), np.bincount(group_of), np.array(list(ratios.values()), dtype=float))
    names = list(ratios)
    return [names[part] for part in division.run()[group_of].tolist()]


def _way_out(num_images: int, num_groups: int, ratios: Collection[str]) -> str:
    if num_images < 2:
        return "one image to learn from and another to measure on are needed; label more"
    ways = ["ask for fewer parts (dataset.split_ratio.test=0, a lower dataset.folds)"] if len(ratios) > 2 else []
    ways += ["let every image stand alone (dataset.group_by=null)"] if num_groups < num_images else []
    return ", or ".join([*ways, "label more"])


def _numbered(groups: Sequence[Hashable], order: Sequence[int]) -> Numbers:
    """Return (N,) the group of each image as a number that counts up with the lowest rank in the group."""
    numbers: dict[Hashable, int] = {}
    for image in np.argsort(np.asarray(order, dtype=np.int64), kind="stable").tolist():
        numbers.setdefault(groups[image], len(numbers))
    return np.array([numbers[group] for group in groups], dtype=np.int64)


def _counts(labels: Sequence[Collection[str]], group_of: Numbers) -> NDArray[np.int32]:
    """Return (G, L + 1) the images of each group that show each category; the last column counts those without any."""
    columns = {name: column for column, name in enumerate(sorted({name for names in labels for name in names}))}
    counts = np.zeros((int(group_of.max()) + 1, len(columns) + 1), dtype=np.int32)
    pairs = [
        (group, column)
        for group, names in zip(group_of.tolist(), labels, strict=True)
        for column in ({columns[name] for name in names} or {len(columns)})
    ]
    rows, cells = np.array(pairs).T
    np.add.at(counts, (rows, cells), 1)
    return counts


def part_sizes(total: int, ratios: NDArray[np.float64]) -> Numbers:
    """Return (P,) whole numbers near ``total`` * ratio that add up to ``total``, each at least 1.

    Args:
        total: P or more.
        ratios: (P,) on any scale.
    """
    exact = total * ratios / ratios.sum()
    sizes: Numbers = np.maximum(np.floor(exact), 1).astype(np.int64)
    while (missing := total - int(sizes.sum())) != 0:
        movable = np.where((missing > 0) | (sizes > 1), np.sign(missing) * (exact - sizes), -np.inf)
        sizes[movable.argmax()] += np.sign(missing)
    return sizes


class _Division:
    """Division of G groups into P parts. ``given`` (P, L): images of each category that each part has so far."""

    def __init__(self, counts: NDArray[np.int32], sizes: Numbers, ratios: NDArray[np.float64]) -> None:
        self.counts, self.sizes = counts, sizes
        self.part_sizes = part_sizes(int(sizes.sum()), ratios)
        self.targets = np.outer(self.part_sizes / sizes.sum(), counts.sum(axis=0))
        self.given = np.zeros_like(self.targets)
        self.room = self.part_sizes.copy()
        self.spared = np.zeros(len(ratios))
        self.parts = np.full(len(sizes), -1)

    def run(self) -> Numbers:
        """Return (G,) the part of each group. Large groups come first, and the small ones then balance them."""
        for size in np.unique(self.sizes)[::-1].tolist():
            members = np.flatnonzero(self.sizes == size)
            shows = self.counts[members] > 0
            num_left = shows.sum(axis=0)
            while num_left.any():
                category = int(np.where(num_left > 0, num_left, len(self.sizes) + 1).argmin())
                chosen = shows[:, category]
                self._share_out(members[chosen], size, category)
                num_left -= shows[chosen].sum(axis=0)
                members, shows = members[~chosen], shows[~chosen]
        self._fill_empty_parts()
        return self.parts

    def _share_out(self, members: Numbers, size: int, category: int) -> None:
        """Give each part a stretch of the groups, all of one size, that show this category."""
        numbers = self._numbers(len(members), size, category)
        for part, some in enumerate(np.split(members, np.cumsum(numbers)[:-1])):
            self.parts[some] = part
            self.given[part] += self.counts[some].sum(axis=0)
            self.room[part] -= size * len(some)

    def _numbers(self, total: int, size: int, category: int) -> Numbers:
        """Return (P,) how many of the groups each part gets: in proportion to what it lacks of the category."""
        lacks: NDArray[np.float64] = (self.targets - self.given)[:, category].clip(0)
        lacks = lacks if lacks.any() else self.part_sizes.astype(float)
        quotas = total * lacks / lacks.sum()
        fits = ((self.room + size / 2) // size).clip(0).astype(np.int64)
        surely = np.floor(quotas * max(0, 1 - len(quotas) / total)).astype(np.int64)
        numbers: Numbers = np.minimum(surely, fits)
        for _ in range(total - int(numbers.sum())):
            part = self._without(category, size, quotas, numbers, fits)
            if part is None:
                part = self._next(size, quotas, numbers, fits)
            numbers[part] += 1
        return numbers

    def _without(
        self, category: int, size: int, quotas: NDArray[np.float64], numbers: Numbers, fits: Numbers
    ) -> int | None:
        """Return a part that has nothing of the category and can spare the room for it, the largest first."""
        beyond = (1 - quotas).clip(0) * size
        able = (fits > 0) & (self.spared + beyond <= MAX_SPARED * self.part_sizes)
        parts = np.flatnonzero(able & (self.given[:, category] == 0) & (numbers == 0)).tolist()
        if not parts:
            return None
        part: int = max(parts, key=lambda p: (self.part_sizes[p], self.room[p]))
        self.spared[part] += beyond[part]
        return part

    def _next(self, size: int, quotas: NDArray[np.float64], numbers: Numbers, fits: Numbers) -> int:
        """Return the part whose turn it is by Sainte-Laguë among those with room; without any, the one with most."""
        room = self.room - size * numbers
        parts = np.flatnonzero(numbers < fits).tolist()
        if not parts:
            return int(room.argmax())
        turns = (quotas / (2 * numbers + 1)).round(9)  # equal parts must tie, for room to decide
        part: int = max(parts, key=lambda p: (turns[p], room[p]))
        return part

    def _fill_empty_parts(self) -> None:
        for part in range(len(self.room)):
            num_groups = np.bincount(self.parts, minlength=len(self.room))
            if num_groups[part] == 0:
                candidates = np.flatnonzero(self.parts == num_groups.argmax())
                self.parts[candidates[self.sizes[candidates].argmin()]] = part
