"""Groups of images that must be in one split: near duplicates, or images whose names belong together."""

from __future__ import annotations

from instseg.data.reading.labels import Labels
from instseg.data.splits.name_groups import SIMILAR, group_names
from instseg.data.splits.near_duplicates import group_similar


def group_images(labels: Labels, group_by: str | None) -> dict[str, str]:
    """Return file name -> group, for the images that are in one.

    Args:
        labels: of the images.
        group_by: ``similar``, a pattern on the file names, or None for no groups.
    """
    names = [image["file_name"] for image in labels.coco["images"]]
    if group_by is None:
        return {}
    return group_similar(names, labels.image_root) if group_by == SIMILAR else group_names(names, group_by)
