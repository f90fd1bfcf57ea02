"""The functions behind ``dataset=<name>``: each brings one dataset to prepared indices; conf/dataset names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Unpack

from instseg.core.errors import InstsegError
from instseg.data.builtin.coco4 import prepare_coco4
from instseg.data.builtin.openimages_download import prepare_openimages
from instseg.data.builtin.shapes import prepare_shapes
from instseg.data.fetch.connection import ConnectionOptions
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
    categories: str | Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
    drop: str | Sequence[str] | None = None,
    max_images: Mapping[str, int | None] | None = None,
    empty_ratio: float | None = None,
    split_ratio: Mapping[str, float | None] | None = None,
    group_by: str | None = "similar",
    folds: int | None = None,
    fold: int = 0,
    splits_file: str | None = None,
    seed: int = 0,
    exif: str = "auto",
    **reader_options: object,
) -> PreparedDataset:
    """Prepare a folder of images with labels in some format, here or elsewhere.

    Args:
        name: of the dataset.
        reader: makes the format's reader from the root and the options of the format.
        root: folder, archive or address of the labels.
        cache_dir: the folder for downloads and indices.
        categories: those to keep, None for all; a single one may come without a list. Here and in the next two a
            number stands for the name that it spells.
        rename: old -> new category name.
        drop: categories to leave out; a single one may come without a list.
        max_images: split -> number of images to keep.
        empty_ratio: images without instances to keep, for each image with some.
        split_ratio: split -> fraction of the images, where the labels have no splits.
        group_by: ``similar``, or a regular expression whose groups of images are never divided.
        folds: number of folds for cross-validation.
        fold: the fold to validate on, from 0.
        splits_file: file that lists the images of each split.
        seed: of everything random.
        exif: frame in which the labels were drawn: ``auto``, ``upright`` or ``stored``.
        reader_options: those of the format, see conf/dataset.

    Raises:
        InstsegError: an option is wrong, or the labels are of no use.
    """
    if exif not in EXIF_FRAMES:
        raise InstsegError(f"dataset.exif={exif}: expected one of {', '.join(EXIF_FRAMES)}")
    selection = Selection(
        categories=_names(categories),
        rename=rename,
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


def _names(wanted: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the names as a tuple, None for none."""
    if wanted is None:
        return None
    return tuple(wanted) or None if isinstance(wanted, list | tuple) else (str(wanted),)


def shapes(*, name: str, cache_dir: str, **options: object) -> PreparedDataset:
    """Generate images of simple shapes and prepare them.

    Args:
        name: of the dataset.
        cache_dir: the folder for images and indices.
        options: those of ``ShapesSpec``, see conf/dataset/shapes.yaml.
    """
    root = prepare_shapes(Path(cache_dir).expanduser(), **options)
    return folder(name=name, reader=CocoReader, root=str(root), cache_dir=cache_dir)


class DownloadOptions(ConnectionOptions, total=False):
    """The options that all downloads have."""

    num_images: Mapping[str, int]
    seed: int


class Coco4Options(DownloadOptions, total=False):
    """The options of ``prepare_coco4`` besides the categories."""

    base_url: str


class OpenImagesOptions(DownloadOptions, total=False):
    """The options of ``prepare_openimages`` besides the categories."""

    masks: bool
    annotations_url: str
    images_url: str


def coco4(
    *, name: str, cache_dir: str, categories: str | Sequence[str], **options: Unpack[Coco4Options]
) -> PreparedDataset:
    """Download four categories of COCO 2017 and prepare them.

    Args:
        name: of the dataset.
        cache_dir: the folder for downloads and indices.
        categories: those to download; a single one may come without a list.
        options: further ones of ``prepare_coco4``, see conf/dataset/coco4.yaml.
    """
    root = prepare_coco4(Path(cache_dir).expanduser(), categories=categories, **options)
    return folder(name=name, reader=CocoReader, root=str(root), cache_dir=cache_dir, categories=categories)


def openimages(
    *, name: str, cache_dir: str, categories: str | Sequence[str], **options: Unpack[OpenImagesOptions]
) -> PreparedDataset:
    """Download some classes of Open Images V7 and prepare them.

    Args:
        name: of the dataset.
        cache_dir: the folder for downloads and indices.
        categories: those to download; a single one may come without a list.
        options: further ones of ``prepare_openimages``, see conf/dataset/openimages_cats.yaml.
    """
    root = prepare_openimages(Path(cache_dir).expanduser(), categories=categories, **options)
    # Its images were labelled as they are stored (the tables say by how much image and labels should be turned).
    return folder(
        name=name, reader=OpenImagesReader, root=str(root), cache_dir=cache_dir, categories=categories, exif="stored"
    )
