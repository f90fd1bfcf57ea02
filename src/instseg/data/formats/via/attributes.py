"""Attributes of VIA's regions: choice of the one that is the category, and its values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from instseg.core.errors import InstsegError
from instseg.core.text import list_names, usable_text
from instseg.data.formats.via.files import Region

USUAL_ATTRIBUTES = ("class", "label", "name", "type", "category", "object")


def category_attribute(regions: Sequence[Region], wanted: str | None, where: Path) -> str | None:
    """Choose the attribute that is the category.

    Args:
        regions: all regions of the dataset.
        wanted: its name; None: the only attribute, or the only one with a usual name.
        where: the folder, for messages.

    Returns:
        The attribute, or None when no region has any.

    Raises:
        InstsegError: the choice is ambiguous, or no region has the wanted attribute.
    """
    spelled = (key for region in regions for key in region.attributes if key and values_of(region, key))
    used = {_alike(key): key for key in spelled}.values()  # files may differ in case
    if wanted is None and not used:
        return None
    usual = [key for key in used if _alike(key) in USUAL_ATTRIBUTES]
    candidates = (
        [key for key in used if _alike(key) == _alike(wanted)]
        if wanted is not None
        else usual
        if len(used) > 1
        else [*used]
    )
    if len(candidates) != 1:
        problem = "it is not clear which is the category" if wanted is None else f"none is called {wanted!r}"
        raise InstsegError(
            f"{where}: the attributes of the regions are {_described(regions) or 'empty'}: {problem}. "
            "Name it: dataset=via dataset.attribute=…"
        )
    return candidates[0]


def values_of(region: Region, attribute: str) -> list[str]:
    """Return the values of an attribute: one for text, all ticked ones for check boxes.

    Args:
        region: the region.
        attribute: the name of the attribute.
    """
    same = (key for key in region.attributes if _alike(key) == _alike(attribute))
    value = region.attributes.get(attribute, region.attributes.get(next(same, "")))
    if isinstance(value, dict):
        return [key for key, ticked in value.items() if usable_text(key).strip() and ticked]
    text = usable_text(str(value) if type(value) is int else value)
    return [text] if text.strip() else []


def _alike(attribute: str) -> str:
    return attribute.strip().casefold()


def _described(regions: Iterable[Region]) -> str:
    """List each attribute with a few of its values, for a message."""
    values: dict[str, dict[str, None]] = {}
    for region in regions:
        for key in region.attributes:
            values.setdefault(key, {}).update(dict.fromkeys(values_of(region, key)))
    return "; ".join(f"{key} ({list_names(found, limit=4)})" for key, found in values.items())
