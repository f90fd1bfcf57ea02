"""Names that a tool has spelled otherwise, so that files which belong together are found all the same."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import unquote


def alike(name: str) -> str:
    """Return a name without what tools change in it: case, the form of accents (NFC, NFD), ``%20`` for a space."""
    return unicodedata.normalize("NFC", unquote(name, errors="surrogateescape")).casefold()


def pair_names(wanted: Iterable[str], there: Iterable[str]) -> dict[str, str]:
    """Pair names with equal ones first; one that is left over with another spelling, if only one of each is left.

    Args:
        wanted: names without extension, such as those of images.
        there: those of the files that may belong to them.

    Returns:
        Wanted name -> the name that is there; wanted names without one are not in it.
    """
    wanted, there = dict.fromkeys(wanted), dict.fromkeys(there)
    pairs = {name: name for name in wanted if name in there}
    if len(pairs) == len(wanted) or len(pairs) == len(there):
        return pairs
    left = _by_spelling(name for name in wanted if name not in pairs)
    free = _by_spelling(name for name in there if name not in pairs)
    for key in left.keys() & free.keys():
        if len(left[key]) == len(free[key]) == 1:
            pairs[left[key][0]] = free[key][0]
    return pairs


def _by_spelling(names: Iterable[str]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        found[alike(name)].append(name)
    return found
