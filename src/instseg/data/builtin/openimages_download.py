"""Open Images V7, filtered by class: the chosen images and their masks, without downloading all of it (570 GB).

The result is named as the official archives unpack::

    <cache_dir>/openimages-<fingerprint>/annotations/oidv7-class-descriptions-boxable.csv    the chosen classes
    …/annotations/{train,validation,test}-annotations-object-segmentation.csv                the chosen rows
    …/images/{train,validation,test}/<ImageID>.jpg
    …/masks/{train,validation,test}/<MaskPath>              1-bit PNG, often of another size than the image
    <cache_dir>/downloads/openimages/                       official files; may be deleted afterwards

Only the chosen images and masks are fetched, the masks from inside their archives (``remote_zip``). With
``masks=False`` the tables of boxes are used, which all 600 classes have; 350 have masks, and not for every object.

Masks, boxes and images share one frame, the image as stored. The official lists give a rotation to the upright for some
images (2.6 %), which is not needed here.

Open Images: Kuznetsova et al., IJCV 2020; its masks: Benenson et al., CVPR 2019. The annotations are CC BY 4.0, the
images are listed as CC BY 2.0.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Unpack

from instseg.core.atomic import write_text_atomically
from instseg.core.errors import InstsegError
from instseg.core.locks import exclusive_lock
from instseg.core.text import list_names, plural
from instseg.data.builtin.coco4_selection import Recipe
from instseg.data.builtin.openimages_layout import CANDIDATES, CLASSES, CLASSES_WITH_MASKS, FINISHED, OFFICIAL, Layout
from instseg.data.builtin.openimages_selection import (
    check_classes,
    check_have_masks,
    check_table,
    filter_table,
    rank_images,
    read_table,
    select_classes,
    write_classes,
)
from instseg.data.builtin.openimages_server import ANNOTATIONS_URL, IMAGES_URL, OpenImagesServer
from instseg.data.fetch.connection import Connection, ConnectionOptions
from instseg.data.fetch.remote_zip import ABSENT

METHOD = "classes in turns, by sha256 of the id's first digit and of the id"  # another method, another folder
GONE = ("status 404 ", "status 410 ")  # how the reasons of failures begin
FEW_GONE = 8  # if more are gone, and more than half of those requested, the URL is wrong

log = logging.getLogger(__name__)


def prepare_openimages(
    cache_dir: Path,
    *,
    categories: str | Sequence[str],
    num_images: Mapping[str, int],
    seed: int = 0,
    masks: bool = True,
    annotations_url: str = ANNOTATIONS_URL,
    images_url: str = IMAGES_URL,
    **connection: Unpack[ConnectionOptions],
) -> Path:
    """Download the selection unless its folder is complete; a second call resumes an interrupted one.

    Images that the server no longer has are logged and replaced by the next ones in the seeded order.

    Args:
        cache_dir: the folder of the selection and the official files are in it.
        categories: boxable classes by their names in Open Images (Cat); all their instances on the chosen images are
            kept.
        num_images: split (train, val, test) -> number of images; 0: no such split.
        seed: of the choice.
        masks: use masks; otherwise boxes.
        annotations_url: server of the tables and masks, or a mirror.
        images_url: server of the images, or a mirror.
        connection: keywords of ``Connection``.

    Returns:
        The folder. Once it is complete no request is made.

    Raises:
        InstsegError: a class does not exist or has no masks, there are fewer images than requested, or a file cannot
            be downloaded or written.
    """
    requests = Connection(**connection)
    recipe = _check_recipe(categories, num_images, seed, masks)
    splits = tuple(split for split, _ in recipe.num_images)
    layout = Layout(cache_dir / f"openimages-{recipe.fingerprint()}", splits, masks)
    if layout.is_complete():
        return layout.folder
    downloads = cache_dir / "downloads" / "openimages"
    server = OpenImagesServer(annotations_url.rstrip("/"), images_url.rstrip("/"), downloads, requests)
    try:
        with exclusive_lock(downloads / "lock"):
            _prepare(layout, recipe, server)
    except OSError as error:
        raise InstsegError(f"{layout.folder}: cannot be written: {error}") from error
    return layout.folder


def _check_recipe(categories: str | Sequence[str], num_images: Mapping[str, int], seed: int, masks: bool) -> Recipe:
    numbers = {split: number for split, number in num_images.items() if number}
    are_counts = all(isinstance(number, int) and number > 0 for number in numbers.values())
    if not numbers or not are_counts or not set(num_images) <= set(OFFICIAL):
        raise InstsegError(
            f"openimages: num_images: expected numbers for {', '.join(OFFICIAL)}, 0 for no such split but not all 0, "
            f"got {dict(num_images)}"
        )
    names = {categories} if isinstance(categories, str) else set(map(str, categories))
    if not names:
        raise InstsegError("openimages: categories: expected at least one class, such as Cat, got none")
    chosen = tuple((split, numbers[split]) for split in OFFICIAL if split in numbers)
    return Recipe(tuple(sorted(names)), chosen, seed, f"{METHOD}, {'masks' if masks else 'boxes'}")


def _prepare(layout: Layout, recipe: Recipe, server: OpenImagesServer) -> None:
    """Download everything; finished tables are written last, so if they exist only images or masks are missing."""
    is_repair = layout.has_tables(FINISHED)
    if not is_repair and not layout.has_tables(CANDIDATES):
        _write_candidates(layout, recipe, server)
    where = FINISHED if is_repair else CANDIDATES
    tables = layout.tables(where)
    ranked = {split: rank_images(table, f"{recipe.seed}/{split}") for split, table in tables.items()}
    numbers = {split: len(ids) for split, ids in ranked.items()} if is_repair else dict(recipe.num_images)
    for split, ids in ranked.items():
        _check_enough(ids, numbers[split], split, recipe)
    chosen = {split: _fetch_images(layout, split, ids, numbers[split], server) for split, ids in ranked.items()}
    for split, ids in chosen.items():
        _check_enough(ids, numbers[split], split, recipe)
    if layout.masks:
        chosen = _fetch_masks(layout, tables, chosen, server)
    write_text_atomically(layout.classes(FINISHED), layout.classes(where).read_text(encoding="utf-8"))
    for split, table in layout.tables(FINISHED).items():
        filter_table(tables[split], table, "ImageID", chosen[split])
    shutil.rmtree(layout.folder / CANDIDATES, ignore_errors=True)


def _write_candidates(layout: Layout, recipe: Recipe, server: OpenImagesServer) -> None:
    """Write all rows of the classes; the large tables are requested only after the names of the classes are checked."""
    lists = {CLASSES: check_classes} | ({CLASSES_WITH_MASKS: check_classes} if layout.masks else {})
    descriptions, *with_masks = server.fetch_files(lists, "Open Images classes")
    classes = select_classes(descriptions, recipe.categories)
    for path in with_masks:
        check_have_masks(path, classes)
    check = partial(check_table, columns=layout.columns)
    official = server.fetch_files(dict.fromkeys(layout.official_tables.values(), check), "Open Images annotations")
    write_classes(layout.classes(CANDIDATES), classes)
    for path, table in zip(official, layout.tables(CANDIDATES).values(), strict=True):
        log.info("reading %s, once", path)
        filter_table(path, table, "LabelName", classes)


def _check_enough(image_ids: Sequence[str], expected: int, split: str, recipe: Recipe) -> None:
    if len(image_ids) < expected:
        raise InstsegError(
            f"openimages: num_images.{split}: expected {plural(expected, 'image')} with any of "
            f"{list(recipe.categories)} in {OFFICIAL[split]}, but only "
            f"{len(image_ids)} are available; request fewer, or add categories"
        )


def _fetch_images(
    layout: Layout, split: str, ranked: Sequence[str], number: int, server: OpenImagesServer
) -> list[str]:
    """Fetch the first ``number`` of the ranked images that the server still has, fewer if there are no more."""
    gone: set[str] = set()
    while True:
        wanted = [image_id for image_id in ranked if image_id not in gone][:number]
        failures = server.fetch_images(layout, split, wanted)
        newly_gone = [failure for failure in failures if failure.reason.startswith(GONE)]
        gone |= {failure.path.stem for failure in newly_gone}
        too_many = len(gone) > max(FEW_GONE, number // 2)
        server.check([f for f in failures if too_many or f not in newly_gone], "Open Images: images")
        if not newly_gone:
            break
    if gone:
        names = list_names(sorted(gone))
        log.warning("openimages: %d %s images are gone and were replaced: %s", len(gone), split, names)
    return wanted


def _fetch_masks(
    layout: Layout, tables: Mapping[str, Path], chosen: Mapping[str, Sequence[str]], server: OpenImagesServer
) -> dict[str, list[str]]:
    """Fetch the masks; return the chosen images without those whose archive lacks one of their masks."""
    mask_paths = {}
    for split, table in tables.items():
        wanted = frozenset(chosen[split])
        mask_paths[split] = [row["MaskPath"] for row in read_table(table) if row["ImageID"] in wanted]
    failures = server.fetch_masks(layout, mask_paths)
    server.check([failure for failure in failures if failure.reason != ABSENT], "Open Images masks")
    lacking = {failure.path.name.partition("_")[0] for failure in failures}
    if lacking:
        names = list_names(failure.path.name for failure in failures)
        log.warning(
            "openimages: %d masks are not in their archives; their images are left out: %s", len(failures), names
        )
    for split, image_ids in chosen.items():
        for image_id in lacking.intersection(image_ids):
            layout.image(split, image_id).unlink(missing_ok=True)  # without its rows it would look empty
    return {split: [image_id for image_id in ids if image_id not in lacking] for split, ids in chosen.items()}
