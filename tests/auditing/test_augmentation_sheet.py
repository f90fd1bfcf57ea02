"""The augmentation sheet shows each image as labelled and then the very samples that a training would see."""

from __future__ import annotations

import albumentations as A
import numpy as np
import pytest
from augmenting import GROUPS, configured
from factories import tiny_categories, write_coco_folder
from sampled import first

from instseg.auditing.augmentation_sheet import draw_augmentation_sheet
from instseg.core.errors import InstsegError
from instseg.core.types import Image, Sample
from instseg.data import sources
from instseg.data.dataset import InstanceDataset
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.index.columns import Index
from instseg.data.samplers import SampleKey
from instseg.data.transforms.augmentation import Augmentation
from instseg.visualization.draw import draw_target
from instseg.visualization.sheets import SCREEN, fit, tile_size

CATEGORIES = tiny_categories()


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Index:
    root = write_coco_folder(tmp_path_factory.mktemp("photos"), {"train": 8, "val": 2})
    prepared = sources.folder(name="test", reader=CocoReader, root=str(root), cache_dir=str(root / "cache"))
    return prepared.indices["train"]


def dataset(index: Index, augmentation: Augmentation | None = None, seed: int = 0) -> InstanceDataset:
    return InstanceDataset(index, augmentation or configured("flip", 48, 64), True, seed)


def drawn(sample: Sample, columns: int, rows: int) -> Image:
    """The picture of a sample on a sheet of so many tiles."""
    size, _ = fit(sample.image.shape[1:], tile_size(columns * rows, columns))
    return draw_target(sample.image, sample.target, CATEGORIES, size=size)


@pytest.mark.parametrize(("num_images", "num_variants"), [(3, 2), (4, 5), (1, 9)])
def test_every_image_has_a_row_of_the_original_and_its_variants_and_all_fit_a_screen(index, num_images, num_variants):
    sheet = draw_augmentation_sheet(dataset(index), num_images, num_variants)
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] <= SCREEN[0] and 0.98 * SCREEN[1] <= sheet.shape[1] <= SCREEN[1]


def test_the_variants_are_the_samples_of_the_first_epochs(index):
    data = dataset(index)
    expected = drawn(data[SampleKey(1, 0)], columns=3, rows=1)
    sheet = draw_augmentation_sheet(data, num_images=1, num_variants=2)
    assert np.array_equal(sheet[-expected.shape[0] :, -expected.shape[1] :], expected)


def test_the_same_seed_gives_the_same_sheet_and_another_seed_another(index):
    once, again, other = (draw_augmentation_sheet(dataset(index, seed=seed), 2, 4) for seed in (0, 0, 1))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_the_first_column_is_not_augmented(index):
    dark = Augmentation(48, 64, {"dark": A.RandomBrightnessContrast(brightness_limit=(-1.0, -1.0), p=1.0)})
    plain, darkened = (draw_augmentation_sheet(dataset(index, a), 1, 1) for a in (Augmentation(48, 64), dark))
    half = plain.shape[1] // 2
    assert np.array_equal(plain[:, :half], darkened[:, :half])
    assert plain[:, half:].mean() > darkened[:, half:].mean() + 30


def test_fewer_images_than_wanted_make_a_shorter_sheet(index):
    few = Index(index.folder, np.array([0, 1, 3]))  # the last has no instances
    sheets = [draw_augmentation_sheet(dataset(few), num_images=n, num_variants=1) for n in (2, 9)]
    assert np.array_equal(*sheets)


def test_a_choice_of_images_is_shown_by_its_own_positions(index):
    chosen = Index(index.folder, np.array([3, 5, 7]))  # only the second has an instance
    expected = drawn(dataset(chosen)[SampleKey(0, 1)], columns=2, rows=1)
    sheet = draw_augmentation_sheet(dataset(chosen), 1, 1)
    assert np.array_equal(sheet[-expected.shape[0] :, -expected.shape[1] :], expected)


@pytest.mark.parametrize("name", first(4, GROUPS))
def test_every_group_can_be_shown(index, name):
    assert draw_augmentation_sheet(dataset(index, configured(name, 48, 64)), 2, 2).std() > 10


def test_a_dataset_that_does_not_augment_is_refused(index):
    evaluated = InstanceDataset(index, configured("flip"), training=False, seed=0)
    with pytest.raises(InstsegError, match="expected a dataset for training"):
        draw_augmentation_sheet(evaluated)
