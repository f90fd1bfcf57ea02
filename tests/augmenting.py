"""What tests of augmentations share: groups of conf/ as they are composed, masks drawn back into the picture."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import cv2
import numpy as np
from factories import make_instances
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from instseg.app.conf_folder import CONFIG_DIR
from instseg.core.masks import polygons_to_rle, rle_to_bitmask
from instseg.core.types import BOX_MASK_SIZE, Instances
from instseg.data.transforms.augmentation import Augmentation

GROUPS = sorted(path.stem for path in (CONFIG_DIR / "augmentation").glob("*.yaml"))
SIZE = (60, 80)


@cache
def composed(name: str) -> DictConfig:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return compose("train", overrides=[f"augmentation={name}"])


def configured(name: str, min_size: int = 60, max_size: int = 80, **changes: Any) -> Augmentation:
    """``augmentation=name`` for photos of this size, whatever size the group itself asks for."""
    config = deepcopy(composed(name))
    sizes = {"min_size": min_size, "max_size": max_size}
    OmegaConf.update(config, "augmentation", OmegaConf.merge(config.augmentation, sizes, changes), merge=False)
    return instantiate(config.augmentation, _convert_="all")


def on_canvas(boxes, box_masks, size) -> list[NDArray[np.bool_]]:
    """Each box mask drawn back into the image, by asking at every pixel's centre."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    canvases = []
    for (x1, y1, x2, y2), mask in zip(boxes.astype(np.float64), box_masks, strict=True):
        column = np.floor((x - x1) / (x2 - x1) * BOX_MASK_SIZE).astype(int)
        row = np.floor((y - y1) / (y2 - y1) * BOX_MASK_SIZE).astype(int)
        inside = (column >= 0) & (column < BOX_MASK_SIZE) & (row >= 0) & (row < BOX_MASK_SIZE)
        canvas = np.zeros(size, dtype=bool)
        canvas[inside] = mask[row[inside], column[inside]] > 0
        canvases.append(canvas)
    return canvases


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = (one | other).sum()
    return (one & other).sum() / union if union else 1.0


def num_beyond_a_pixel(one: NDArray[Any], other: NDArray[Any]) -> int:
    """How many pixels of each mask, shrunk by a pixel, the other does not cover."""
    around = np.ones((3, 3), dtype=np.uint8)
    one, other = one.astype(np.uint8), other.astype(np.uint8)
    return int(((cv2.erode(other, around) > one) | (cv2.erode(one, around) > other)).sum())


def as_bitmaps(instances: Instances, size=SIZE) -> Instances:
    rles = [polygons_to_rle(parts, size) for parts in instances.polygons]
    return make_instances(*rles, labels=instances.labels.tolist())


def painted(instances: Instances, size=SIZE) -> NDArray[np.uint8]:
    """A black picture in which channel i shows instance i."""
    picture = np.zeros((*size, 3), dtype=np.uint8)
    for i, parts in enumerate(instances.polygons):
        picture[..., i] = 255 * rle_to_bitmask(polygons_to_rle(parts, size))
    return picture
