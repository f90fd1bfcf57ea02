"""coco4: a few hundred COCO 2017 images of cake, car, dog and person, without downloading all of COCO (19 GB).

Only the annotation archive (about 241 MB) and the chosen images are fetched. The result is a plain COCO folder::

    <cache_dir>/coco4-<fingerprint>/annotations/instances_{train,val,test}.json
    <cache_dir>/coco4-<fingerprint>/{train,val,test}/000000000009.jpg
    <cache_dir>/downloads/annotations_trainval2017.zip       shared by all selections; may be deleted afterwards

COCO: Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014. The annotations are CC BY 4.0; each image
has its own licence, whose id and Flickr address stay in the json.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Unpack
from urllib.parse import quote

from PIL import Image

from instseg.core.atomic import write_text_atomically
from instseg.core.errors import InstsegError
from instseg.core.locks import exclusive_lock
from instseg.core.text import plural
from instseg.data.builtin.coco4_selection import (
    SPLITS_OF_SOURCE,
    CocoJson,
    Recipe,
    read_selection,
    read_unfinished_selection,
    select_from_archive,
)
from instseg.data.fetch.connection import Connection, ConnectionOptions
from instseg.data.fetch.download import download_files
from instseg.data.fetch.jobs import Download, DownloadReport

BASE_URL = "http://images.cocodataset.org"
CATEGORIES = ("cake", "car", "dog", "person")
NUM_IMAGES = {"train": 300, "val": 300, "test": 30}
ARCHIVE = "annotations_trainval2017.zip"


def prepare_coco4(
    cache_dir: Path,
    *,
    categories: str | Sequence[str] = CATEGORIES,
    num_images: Mapping[str, int] | None = None,
    seed: int = 0,
    base_url: str = BASE_URL,
    **connection: Unpack[ConnectionOptions],
) -> Path:
    """Download the selection unless its folder is complete; a second call resumes an interrupted one.

    ``train`` comes from train2017, ``test`` and then ``val`` from val2017, so they are disjoint, and the test images
    do not change when more validation images are requested. See ``coco4_selection`` for the choice. All annotations
    of the categories on the chosen images are kept, crowds included; ids are COCO's own.

    Args:
        cache_dir: the folder of the selection and the archive are in it.
        categories: COCO category names.
        num_images: split -> number of images.
        seed: of the choice.
        base_url: COCO's server or a mirror.
        connection: keywords of ``Connection``.

    Returns:
        The folder. Once it is complete no request is made.

    Raises:
        InstsegError: a category does not exist, there are fewer images than requested, or the archive or an image
            cannot be downloaded.
    """
    server = Connection(**connection)
    recipe = _check_recipe(categories, NUM_IMAGES if num_images is None else num_images, seed)
    folder = cache_dir / f"coco4-{recipe.fingerprint()}"
    if _is_complete(folder, recipe):
        return folder
    base_url = base_url.rstrip("/")
    fetch = partial(download_files, num_threads=server.num_threads, **server.retries)
    with exclusive_lock(cache_dir / "downloads" / "lock"):
        selection = _read_selection(folder, recipe)
        if selection is None:
            archive = cache_dir / "downloads" / ARCHIVE
            _check_archive_report(fetch([_archive_job(archive, base_url)], title="COCO annotations"), base_url)
            selection = select_from_archive(archive, recipe)
            write_text_atomically(folder / "selection.json", json.dumps(selection))
        _check_image_report(fetch(_image_jobs(folder, selection, base_url), title="COCO images"), folder)
        _write_annotations(folder, selection)
    return folder


def _check_recipe(categories: str | Sequence[str], num_images: Mapping[str, int], seed: int) -> Recipe:
    if set(num_images) != set(NUM_IMAGES) or any(number < 1 for number in num_images.values()):
        raise InstsegError(
            f"coco4: num_images: expected at least 1 for each of {', '.join(NUM_IMAGES)}, got {dict(num_images)}"
        )
    if not categories:
        raise InstsegError("coco4: categories: expected at least one COCO category name, got none")
    names = {categories} if isinstance(categories, str) else set(categories)
    return Recipe(tuple(sorted(names)), tuple((split, num_images[split]) for split in NUM_IMAGES), seed)


def _annotation_paths(folder: Path, recipe: Recipe) -> dict[str, Path]:
    return {split: folder / "annotations" / f"instances_{split}.json" for split, _ in recipe.num_images}


def _read_selection(folder: Path, recipe: Recipe) -> dict[str, CocoJson] | None:
    """Read split -> COCO json of an earlier call, finished or not; None if there was none."""
    paths, remedy = _annotation_paths(folder, recipe), f"delete {folder} to choose and download again"
    if all(path.is_file() for path in paths.values()):
        return read_selection(paths, remedy)
    unfinished = folder / "selection.json"
    return read_unfinished_selection(unfinished, recipe, remedy) if unfinished.is_file() else None


def _is_complete(folder: Path, recipe: Recipe) -> bool:
    if not all(path.is_file() for path in _annotation_paths(folder, recipe).values()):
        return False
    selection = _read_selection(folder, recipe) or {}
    return all(path.is_file() and path.stat().st_size for path, _, _ in _images(folder, selection))


def _images(folder: Path, selection: dict[str, CocoJson]) -> Iterable[tuple[Path, str, CocoJson]]:
    """Yield path, split and json entry of every image of the selection."""
    for split, coco in selection.items():
        for image in coco["images"]:
            yield folder / split / image["file_name"], split, image


def _write_annotations(folder: Path, selection: dict[str, CocoJson]) -> None:
    for split, coco in selection.items():
        write_text_atomically(folder / "annotations" / f"instances_{split}.json", json.dumps(coco))
    (folder / "selection.json").unlink(missing_ok=True)


def _archive_job(archive: Path, base_url: str) -> Download:
    return Download(f"{base_url}/annotations/{ARCHIVE}", archive, validate=_check_archive)


def _check_archive(path: Path) -> None:
    """Check the directory at the archive's end, which is cheap; CRCs are checked when members are read."""
    expected = {f"annotations/instances_{source}.json" for source in SPLITS_OF_SOURCE}
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise InstsegError(f"expected a zip archive: {error}") from error
    if not expected <= set(names):
        raise InstsegError(f"expected an archive with {sorted(expected)}, got {names[:10]}")


def _image_jobs(folder: Path, selection: dict[str, CocoJson], base_url: str) -> list[Download]:
    source_of_split = {split: source for source, splits in SPLITS_OF_SOURCE.items() for split in splits}
    return [
        Download(
            f"{base_url}/{source_of_split[split]}/{quote(image['file_name'])}",
            path,
            validate=partial(_check_image, width=image["width"], height=image["height"]),
        )
        for path, split, image in _images(folder, selection)
    ]


def _check_image(path: Path, width: int, height: int) -> None:
    """Decode the whole image: a JPEG that is truncated or replaced by an error page shows only then."""
    try:
        with Image.open(path) as image:
            image.load()
            size = image.size
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises on damaged files
        raise InstsegError(f"expected an image: {error}") from error
    if size != (width, height):
        raise InstsegError(f"expected an image of {width} x {height} px, got {size[0]} x {size[1]}")


def _check_archive_report(report: DownloadReport, base_url: str) -> None:
    for failure in report.failures:
        raise InstsegError(
            f"coco4: cannot download the COCO annotations: {failure.url}: {failure.reason}. Run the same command again "
            f"to resume, set dataset.base_url to a mirror (now {base_url}; it must serve annotations/{ARCHIVE}, "
            f"train2017/ and val2017/), or place the archive at {failure.path} by hand."
        )


def _check_image_report(report: DownloadReport, folder: Path) -> None:
    if not report.failures:
        return
    num_there = len(report.downloaded) + len(report.skipped)
    first = "".join(f"\n  {failure.url}: {failure.reason}" for failure in report.failures[:5])
    more = f"\n  … and {len(report.failures) - 5} more" if len(report.failures) > 5 else ""
    raise InstsegError(
        f"coco4: {len(report.failures)} of {plural(num_there + len(report.failures), 'image')} could not be downloaded:"
        f"{first}{more}\nThe other {num_there} are kept in {folder}: run the same command again to resume. "
        "If that does not help, set dataset.base_url to a mirror, place the missing files there by hand "
        f"(as {report.failures[0].path}), or choose other images with another dataset.seed."
    )
