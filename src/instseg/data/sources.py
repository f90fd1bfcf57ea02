"""The functions behind ``dataset=<name>``: each brings one dataset to prepared indices; conf/dataset names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Unpack

from instseg.core.errors import InstsegError
from instseg.data.builtin.coco4 import prepare_coco4
from instseg.data.builtin.openimages_download import prepare_openimages
from instseg.data.builtin.shapes import prepare_shapes
from instseg.data.disk_errors import told_in_a_line
from instseg.data.fetch.connection import ConnectionOptions
from instseg.data.fetch.dataset_root import corrected_roots, local_root
from instseg.data.formats.auto import AutoReader
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.formats.openimages.reader import OpenImagesReader
from instseg.data.prepare import prepare_dataset
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.label_rules import RULE_OPTIONS, LabelRules
from instseg.data.reading.readers import LabelReader, make_reader
from instseg.data.splits.selection import Selection

EXIF_FRAMES = ("auto", "upright", "stored")
SHARED_OPTIONS = tuple(field.name for field in fields(Selection))


def folder(
    *,
    name: str,
    reader: Callable[..., LabelReader],
    root: str,
    cache_dir: str,
    exif: str = "auto",
    corrected: object = None,
    max_unpacked_gb: float | None = None,
    **options: object,
) -> PreparedDataset:
    """Prepare a folder of images with labels in some format, here or elsewhere.

    Args:
        name: of the dataset.
        reader: makes the format's reader from the root and the options of the format.
        root: folder, archive or address of the labels.
        cache_dir: the folder for downloads and indices.
        exif: frame in which the labels were drawn: ``auto``, ``upright`` or ``stored``.
        corrected: folders or files with corrected predictions, which join train; their format is recognised.
        max_unpacked_gb: limit of what a zip or parquet may become; None: a hundred times its size, or 0.2 GB.
        options: those of ``Selection`` and ``LabelRules``, and those of the format, see conf/dataset. A single name of
            ``categories`` and ``drop`` may come without a list, and a number stands for the name that it spells.

    Raises:
        InstsegError: an option is wrong, or the labels are of no use.
    """
    selection, rules = checked_options({"exif": exif, **options})
    cache = Path(cache_dir).expanduser()
    with told_in_a_line(root, cache):
        labels = _reader(reader, root, cache, max_unpacked_gb, options)
        places = corrected_roots(corrected, cache, max_unpacked_gb)
        added = [AutoReader(place, str(cache), max_unpacked_gb) for place in places]
        return prepare_dataset(labels, selection, cache, name, exif, added, rules)


def checked_options(options: Mapping[str, object]) -> tuple[Selection, LabelRules]:
    """Check the options that all folders of labels share, without reading anything.

    Args:
        options: of ``folder``; those of the format are passed over.

    Returns:
        The selection and the rules that they make.

    Raises:
        InstsegError: one of them is wrong.
    """
    if (exif := options.get("exif", "auto")) not in EXIF_FRAMES:
        raise InstsegError(f"dataset.exif={str(exif)[:100]}: expected one of {', '.join(EXIF_FRAMES)}")
    make_rules: Callable[..., LabelRules] = LabelRules
    return _selection(_some(options, SHARED_OPTIONS)), make_rules(**_some(options, RULE_OPTIONS))


def label_reader(
    *,
    name: str,
    reader: Callable[..., LabelReader],
    root: str,
    cache_dir: str,
    exif: str = "auto",
    corrected: object = None,
    max_unpacked_gb: float | None = None,
    **options: object,
) -> LabelReader:
    """Return the reader of the labels that ``folder`` prepares for the same arguments.

    Args:
        name: of the dataset.
        reader: makes the format's reader.
        root: folder, archive or address of the labels.
        cache_dir: the folder for downloads and indices.
        exif: decides nothing about the reader, like what else ``folder`` takes.
        corrected: the same.
        max_unpacked_gb: limit of what a zip or parquet may become.
        options: those of the format, and others.
    """
    return _reader(reader, root, Path(cache_dir).expanduser(), max_unpacked_gb, options)


def _reader(
    reader: Callable[..., LabelReader],
    root: str,
    cache: Path,
    max_unpacked_gb: float | None,
    options: Mapping[str, object],
) -> LabelReader:
    of_format = {option: value for option, value in options.items() if option not in (*SHARED_OPTIONS, *RULE_OPTIONS)}
    return make_reader(reader, local_root(root, cache, max_unpacked_gb), of_format, cache, max_unpacked_gb)


def _some(options: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    return {name: options[name] for name in names if name in options}


def _selection(options: Mapping[str, object]) -> Selection:
    """Make the selection of its options, which checks their types."""
    lists = {option: _names(options[option]) for option in ("categories", "drop") if option in options}
    make: Callable[..., Selection] = Selection
    return make(**{**options, **lists})


def _names(wanted: object) -> tuple[object, ...] | None:
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
    cache = Path(cache_dir).expanduser()
    with told_in_a_line(name, cache):
        root = prepare_shapes(cache, **options)
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
    cache = Path(cache_dir).expanduser()
    with told_in_a_line(name, cache):
        root = prepare_coco4(cache, categories=categories, **options)
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
    cache = Path(cache_dir).expanduser()
    with told_in_a_line(name, cache):
        root = prepare_openimages(cache, categories=categories, **options)
    # Its images were labelled as they are stored (the tables say by how much image and labels should be turned).
    return folder(
        name=name, reader=OpenImagesReader, root=str(root), cache_dir=cache_dir, categories=categories, exif="stored"
    )
