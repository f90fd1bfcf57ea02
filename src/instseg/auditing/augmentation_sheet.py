"""Sheet of augmented images of a dataset, to look at before a long training."""

from __future__ import annotations

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.types import Image, ImageSize
from instseg.data.dataset import InstanceDataset
from instseg.data.samplers import SampleKey
from instseg.visualization.colours import ColourBy
from instseg.visualization.draw import draw_ground_truth, draw_target
from instseg.visualization.sheets import contact_sheet, fit, tile_size, wrapped


def draw_augmentation_sheet(
    dataset: InstanceDataset, num_images: int = 4, num_variants: int = 5, colour_by: ColourBy = "instance"
) -> Image:
    """Draw a row per image: as it was labelled, crowds hatched, then as the network gets it in the first epochs.

    The images are the first that have instances, categories taking turns. The variants are the very samples that
    a training with the dataset's seed sees. Needs no weights. The sheet fits a screen; wide images are cut into rows.

    Args:
        dataset: one for training.
        num_images: number of rows.
        num_variants: number of epochs.
        colour_by: instance or category.

    Raises:
        InstsegError: the dataset is for evaluation and does not augment.
    """
    if not dataset.training:
        raise InstsegError("augmentation sheet: expected a dataset for training, found one for evaluation")
    positions, columns = _positions(dataset, num_images), 1 + num_variants
    tile = tile_size(columns * len(positions), columns)
    pictures, captions = [], []
    for position in positions:
        pictures.append(_labelled(dataset, position, tile, colour_by))
        pictures += [_augmented(dataset, SampleKey(v, position), tile, colour_by) for v in range(num_variants)]
        captions += [dataset.index.path(position).name, *(f"epoch {variant + 1}" for variant in range(num_variants))]
    return contact_sheet(pictures, columns, tile, captions)


def _positions(dataset: InstanceDataset, num_images: int) -> list[int]:
    rows = dataset.index.rows
    chosen = dataset.index.first_with_instances(num_images).rows
    return np.flatnonzero(np.isin(rows, chosen)).tolist()


def _labelled(dataset: InstanceDataset, position: int, tile: ImageSize, colour_by: ColourBy) -> Image:
    index = dataset.index
    image = index.read_image(position)
    size, rows = fit((image.shape[0], image.shape[1]), tile)
    return wrapped(draw_ground_truth(image, index.ground_truth(position), index.categories, colour_by, size), rows)


def _augmented(dataset: InstanceDataset, key: SampleKey, tile: ImageSize, colour_by: ColourBy) -> Image:
    sample = dataset[key]
    height, width = sample.image.shape[1:]
    size, rows = fit((height, width), tile)
    return wrapped(draw_target(sample.image, sample.target, dataset.index.categories, colour_by, size), rows)
