"""What ``dataset=<name>`` means: each function brings one dataset to prepared indices; conf/dataset names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from instseg.core.errors import InstsegError
from instseg.data.builtin.coco4 import prepare_coco4
from instseg.data.builtin.openimages_download import prepare_openimages
from instseg.data.builtin.shapes import prepare_shapes
from instseg.data.fetch.dataset_root import local_root
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.formats.openimages.reader import OpenImagesReader
from instseg.data.prepare import prepare_dataset
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.readers import LabelReader, make_reader
from instseg.data.splits.splits import Selection

EXIF_FRAMES = ("auto", "upright", "stored")


def folder(
    *,
    name: str,
    reader: Callable[..., LabelReader],
    root: str,
    cache_dir: str,
    categories: str | Sequence[str | int] | None = None,
    rename: Mapping[str | int, str | int] | None = None,
    drop: str | Sequence[str | int] | None = None,
    max_images: Mapping[str, int | None] | None = None,
    empty_ratio: float | None = None,
    split_ratio: Mapping[str, float | None] | None = None,
    group_by: str | None = "similar",
    folds: int | None = None,
    fold: int = 0,
    splits_file: str | None = None,
    seed: int = 0,
    exif: str = "auto",
    **reader_options: Any,
) -> PreparedDataset:
    """A folder of photos with labels in some format, here or elsewhere. See conf/dataset/auto.yaml for the options.

    ``reader`` makes the format's reader from the root and the options that are its own.
    """
    if exif not in EXIF_FRAMES:
        raise InstsegError(f"dataset.exif={exif}: expected one of {', '.join(EXIF_FRAMES)}")
    selection = Selection(
        categories=_names(categories),
        rename=rename,  # type: ignore[arg-type]
        drop=_names(drop),
        max_images=max_images,
        empty_ratio=empty_ratio,
        split_ratio=split_ratio,
        group_by=group_by,
        folds=folds,
        fold=fold,
        splits_file=splits_file,
        seed=seed,
    )
    cache = Path(cache_dir).expanduser()
    try:
        labels = make_reader(reader, local_root(root, cache), reader_options, cache)
        return prepare_dataset(labels, selection, cache, name, exif)
    except PermissionError as error:
        raise InstsegError(f"dataset.root={root}: not allowed to read or write {error.filename}") from error


def _names(wanted: str | Sequence[str | int] | None) -> tuple[str, ...] | None:
    """A single one may come without brackets."""
    listed = wanted if isinstance(wanted, list | tuple) else [] if wanted is None else [wanted]
    return tuple(listed) or None


def shapes(*, name: str, cache_dir: str, **options: Any) -> PreparedDataset:
    """Generated pictures of simple shapes. See conf/dataset/shapes.yaml for the options."""
    root = prepare_shapes(Path(cache_dir).expanduser(), **options)
    return folder(name=name, reader=CocoReader, root=str(root), cache_dir=cache_dir)


def coco4(*, name: str, cache_dir: str, **options: Any) -> PreparedDataset:
    """Four categories of COCO 2017, downloaded. See conf/dataset/coco4.yaml for the options."""
    root = prepare_coco4(Path(cache_dir).expanduser(), **options)
    return folder(name=name, reader=CocoReader, root=str(root), cache_dir=cache_dir, categories=options["categories"])


def openimages(*, name: str, cache_dir: str, **options: Any) -> PreparedDataset:
    """Some classes of Open Images V7, downloaded. See conf/dataset/openimages_cats.yaml for the options."""
    root = prepare_openimages(Path(cache_dir).expanduser(), **options)
    wanted = options["categories"]
    # Its photos were labelled as they are stored (the tables say by how much photo and labels should be turned).
    return folder(
        name=name, reader=OpenImagesReader, root=str(root), cache_dir=cache_dir, categories=wanted, exif="stored"
    )
