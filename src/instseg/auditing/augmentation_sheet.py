"""Sheet of augmented images of a dataset, to look at before a long training."""

from __future__ import annotations

import numpy as np

from instseg.core.errors import InstsegError
from instseg.core.types import Image
from instseg.data.dataset import InstanceDataset, SampleKey
from instseg.data.reading.images import read_image
from instseg.visualization.draw import draw_ground_truth, draw_target
from instseg.visualization.sheets import contact_sheet

TILE_PX = 480


def draw_augmentation_sheet(dataset: InstanceDataset, num_images: int = 4, num_variants: int = 5) -> Image:
    """Draw a row per image: as it was labelled, crowds hatched, then as the network gets it in the first epochs.

    The images are the first that have instances, categories taking turns. The variants are the very samples that
    a training with the dataset's seed sees. Needs no weights.

    Args:
        dataset: one for training.
        num_images: number of rows.
        num_variants: number of epochs.

    Raises:
        InstsegError: the dataset is for evaluation and does not augment.
    """
    if not dataset.training:
        raise InstsegError("augmentation sheet: expected a dataset for training, found one for evaluation")
    pictures, captions = [], []
    for position in _positions(dataset, num_images):
        pictures += [_labelled(dataset, position), *(_augmented(dataset, position, v) for v in range(num_variants))]
        captions += [dataset.index.path(position).name, *(f"epoch {variant}" for variant in range(num_variants))]
    return contact_sheet(pictures, columns=1 + num_variants, tile_px=TILE_PX, captions=captions)


def _positions(dataset: InstanceDataset, num_images: int) -> list[int]:
    rows = dataset.index.rows
    chosen = dataset.index.first_with_instances(num_images).rows
    return np.flatnonzero(np.isin(rows, chosen)).tolist()


def _labelled(dataset: InstanceDataset, position: int) -> Image:
    index = dataset.index
    image = read_image(index.path(position), rotate=index.rotate(position))
    return draw_ground_truth(image, index.ground_truth(position), index.categories)


def _augmented(dataset: InstanceDataset, position: int, variant: int) -> Image:
    sample = dataset[SampleKey(variant, position)]
    return draw_target(sample.image, sample.target, dataset.index.categories)
