"""What ``dataset=<name>`` means: each function brings one dataset to prepared indices; conf/dataset names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from instseg.data.coco4 import prepare_coco4
from instseg.data.formats.coco import CocoReader
from instseg.data.prepare import PreparedDataset, prepare_dataset
from instseg.data.shapes import prepare_shapes
from instseg.data.splits import Selection


def coco(
    *,
    name: str,
    root: str,
    cache_dir: str,
    splits: Mapping[str, Mapping[str, str | None] | None] | None = None,
    categories: str | Sequence[str | int] | None = None,
    max_images: Mapping[str, int | None] | None = None,
    empty_ratio: float | None = None,
    split_ratio: Mapping[str, float | None] | None = None,
    seed: int = 0,
) -> PreparedDataset:
    """A folder in COCO format, or one json. See conf/dataset/coco.yaml for the options."""
    wanted = [categories] if isinstance(categories, str) else categories or ()
    # Names that are numbers arrive as numbers from the command line.
    selection = Selection(tuple(map(str, wanted)) or None, max_images, empty_ratio, split_ratio, seed)
    reader = CocoReader(Path(root).expanduser(), splits or {})
    return prepare_dataset(reader, selection, Path(cache_dir).expanduser(), name)


def shapes(*, name: str, cache_dir: str, **options: Any) -> PreparedDataset:
    """Generated pictures of simple shapes. See conf/dataset/shapes.yaml for the options."""
    root = prepare_shapes(Path(cache_dir).expanduser(), **options)
    return coco(name=name, root=str(root), cache_dir=cache_dir)


def coco4(*, name: str, cache_dir: str, **options: Any) -> PreparedDataset:
    """Four categories of COCO 2017, downloaded. See conf/dataset/coco4.yaml for the options."""
    root = prepare_coco4(Path(cache_dir).expanduser(), **options)
    return coco(name=name, root=str(root), cache_dir=cache_dir, categories=options["categories"])
