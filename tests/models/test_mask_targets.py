"""Mask targets from box masks: hand-drawn, and against torchvision's from dense masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models.detection.roi_heads import project_masks_on_boxes

from instseg.core.box_masks import polygons_to_box_mask
from instseg.core.masks import clip_polygon, polygons_to_box, polygons_to_rle, rle_to_bitmask
from instseg.models.mask_targets import sample_mask_targets

COCO_TINY = (Path(__file__).parents[2] / "../shared/data/coco_tiny").resolve()


def targets_of(box_mask: Tensor, box: list[float], roi: list[float], size: int) -> Tensor:
    return sample_mask_targets(box_mask[None], torch.tensor([box]), torch.tensor([roi]), size)[0]


def test_a_roi_half_a_pixel_up_and_left_of_the_box_reads_the_box_mask_itself() -> None:
    box_mask = torch.tensor([[1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]], dtype=torch.uint8)
    read = targets_of(box_mask, [10, 20, 50, 60], [9.5, 19.5, 49.5, 59.5], 4)
    torch.testing.assert_close(read, box_mask.float())


def test_outside_its_box_an_instance_is_absent() -> None:
    box_mask = torch.ones(8, 8, dtype=torch.uint8)
    read = targets_of(box_mask, [16, 16, 32, 32], [7.5, 15.5, 39.5, 31.5], 4)  # twice as wide as the box
    torch.testing.assert_close(read, torch.tensor([[0.0, 1.0, 1.0, 0.0]]).expand(4, 4))


def test_a_box_without_extent_does_no_harm() -> None:
    read = targets_of(torch.ones(112, 112, dtype=torch.uint8), [5.0, 5.0, 5.0, 5.0], [0.0, 0.0, 9.0, 9.0], 28)
    assert read.isfinite().all()


def test_where_box_masks_have_the_pixels_of_the_image_the_targets_are_torchvisions() -> None:
    generator = torch.Generator().manual_seed(0)
    blob = (torch.rand(112, 112, generator=generator) > 0.5).to(torch.uint8)
    dense = torch.zeros(1, 200, 220, dtype=torch.uint8)
    dense[0, 40:152, 60:172] = blob
    rois = torch.tensor([[60.0, 40, 172, 152], [70.3, 31.7, 160.2, 140.1], [40.5, 30, 150, 130.4]])  # 4 samples a bin
    expected = project_masks_on_boxes(dense, rois, torch.zeros(3, dtype=torch.int64), 28)
    got = sample_mask_targets(blob.expand(3, -1, -1), torch.tensor([[60.0, 40, 172, 152]]).expand(3, 4), rois, 28)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


def coco_instances(limit: int) -> list[tuple[list[np.ndarray], tuple[int, int]]]:
    content = json.loads((COCO_TINY / "annotations/instances_val2017.json").read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    drawn = []
    for annotation in content["annotations"]:
        if annotation["iscrowd"]:
            continue
        size = sizes[annotation["image_id"]]
        parts = [clip_polygon(np.array(part, float).reshape(-1, 2), size) for part in annotation["segmentation"]]
        drawn.append(([part for part in parts if len(part)], size))
    return drawn[:: max(1, len(drawn) // limit)]


def jittered(box: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A proposal that a positive RoI could be: all four sides moved by about an eighth of the box."""
    extent = np.tile(box[2:] - box[:2], 2)
    return np.clip(box + np.clip(rng.normal(0, 0.12, 4), -0.15, 0.15) * extent, 0, np.tile(size[::-1], 2))


@pytest.mark.skipif(not COCO_TINY.exists(), reason="needs coco_tiny")
def test_on_coco_polygons_at_most_two_percent_of_the_target_pixels_differ_from_dense_masks() -> None:
    rng, differing = np.random.default_rng(0), []
    for polygons, size in coco_instances(100):
        box = polygons_to_box(polygons)
        if (box[2:] - box[:2]).min() < 2:
            continue
        rois = torch.tensor(np.array([jittered(box, size, rng) for _ in range(3)]), dtype=torch.float32)
        dense = torch.tensor(rle_to_bitmask(polygons_to_rle(polygons, size)))[None]
        expected = project_masks_on_boxes(dense, rois, torch.zeros(3, dtype=torch.int64), 28) >= 0.5
        box_masks = torch.tensor(polygons_to_box_mask(polygons, box, 112)).expand(3, -1, -1)
        got = sample_mask_targets(box_masks, torch.tensor(box, dtype=torch.float32).expand(3, 4), rois, 28) >= 0.5
        differing.append((got != expected).float().mean().item())
    assert np.mean(differing) < 0.02
