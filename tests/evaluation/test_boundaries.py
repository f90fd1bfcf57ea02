"""Boundary IoU and Boundary AP: drawn by hand, by the definition in whole images, and equal to a public tool."""

from __future__ import annotations

import contextlib
import io
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from detections import CATEGORIES, SIZE, ap_of, prediction, random_ellipse, random_images, truth
from factories import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from instseg.core.masks import bitmask_to_rle, rle_to_bitmask
from instseg.evaluation.boundaries import boundaries, boundary_distance, boundary_iou, with_boundaries
from instseg.evaluation.image_record import ImageRecord, unique_images
from instseg.evaluation.metrics import evaluate_records

BLOCK = drawn(
    "..........",
    ".#####....",
    ".#####....",
    ".#####....",
    ".#####....",
    ".#####....",
)
FRAME = drawn(
    "..........",
    ".#####....",
    ".#...#....",
    ".#...#....",
    ".#...#....",
    ".#####....",
)


def whole(boundary, size):
    """A boundary in the whole image."""
    image = np.zeros(size[::-1], bool)
    width, height = boundary.columns.shape
    image[boundary.left : boundary.left + width, boundary.top : boundary.top + height] = boundary.columns
    return image.T


def test_the_boundary_is_what_lies_near_the_contour_or_the_border_of_the_image():
    (boundary,) = boundaries([bitmask_to_rle(BLOCK)])
    assert np.array_equal(whole(boundary, BLOCK.shape), FRAME) and boundary.size == 16


def test_the_iou_of_boundaries_falls_faster_than_that_of_masks():
    one, other = boundaries([bitmask_to_rle(BLOCK), bitmask_to_rle(np.roll(BLOCK, 1, axis=1))])
    common = np.logical_and(FRAME, np.roll(FRAME, 1, axis=1)).sum()
    assert boundary_iou(one, other) == common / (32 - common) < 20 / 30


def test_masks_that_do_not_meet_and_empty_ones_have_an_iou_of_0():
    one, other, empty = boundaries([bitmask_to_rle(m) for m in (BLOCK[:, ::-1], BLOCK, np.zeros_like(BLOCK))])
    assert boundary_iou(one, one) == 1
    assert boundary_iou(other, empty) == boundary_iou(empty, empty) == 0
    corner = drawn("##........", "##........", "..........", "..........", "..........", "..........")
    assert boundary_iou(*boundaries([bitmask_to_rle(corner), bitmask_to_rle(corner[::-1, ::-1])])) == 0


def test_the_distance_is_a_fiftieth_of_the_diagonal_and_at_least_one_pixel():
    assert (boundary_distance((480, 640)), boundary_distance((10, 10))) == (16, 1)


def defined(bitmask, distance):
    """The boundary by the definition of the published tool, in the whole image."""
    padded = cv2.copyMakeBorder(bitmask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=distance)[1:-1, 1:-1]
    return bitmask & ~eroded.astype(bool)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["ellipses", "noise", "columns", "everything"]))
def test_boxes_give_the_boundary_of_the_whole_image(seed, kind):
    rng = np.random.default_rng(seed)
    masks = {
        "ellipses": lambda: random_ellipse(rng) | random_ellipse(rng, 60),
        "noise": lambda: cv2.blur(rng.random(SIZE), (9, 9)) > 0.45,
        "columns": lambda: np.tile(rng.random(SIZE[1]) < 0.9, (SIZE[0], 1)),
        "everything": lambda: np.ones(SIZE, bool),
    }
    made = [masks[kind]() for _ in range(3)]
    found = boundaries([bitmask_to_rle(mask) for mask in made])
    for mask, boundary in zip(made, found, strict=True):
        assert np.array_equal(whole(boundary, SIZE), defined(mask, boundary_distance(SIZE)))


def boundary_numbers(predictions, truths):
    """Boundary AP over all sizes and in each, by faster_coco_eval, NaN where it writes -1."""
    import faster_coco_eval

    images = [{"id": t.image_id, "height": t.image_size[0], "width": t.image_size[1]} for t in truths]
    annotations, results = [], []
    for t in truths:
        for label, area, iscrowd, rle in zip(t.labels, t.areas, t.iscrowd, t.rles, strict=True):
            annotation = {"id": len(annotations) + 1, "image_id": t.image_id, "category_id": int(label)}
            annotation |= {"area": area, "iscrowd": int(iscrowd), "segmentation": as_text(rle), "bbox": [0, 0, 1, 1]}
            annotations.append(annotation)
    for p in predictions:
        for label, score, rle in zip(p.labels, p.scores, p.rles, strict=True):
            result = {"image_id": p.image_id, "category_id": int(label), "score": float(score)}
            results.append(result | {"segmentation": as_text(rle)})
    with contextlib.redirect_stdout(io.StringIO()):
        reference = faster_coco_eval.COCO(
            {"images": images, "categories": CATEGORIES.to_coco(), "annotations": annotations}
        )
        evaluation = faster_coco_eval.COCOeval_faster(reference, reference.loadRes(results), "boundary")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return SimpleNamespace(all=ap_of(precision[..., 0, 2]), large=ap_of(precision[..., 3, 2]))


def as_text(rle):
    return {"size": rle["size"], "counts": rle["counts"].decode()}


@pytest.mark.parametrize("seed", range(4))
def test_boundary_ap_is_that_of_a_public_tool(seed):
    predictions, truths = random_images(seed)
    records = [with_boundaries(ImageRecord.build(*pair), *pair) for pair in zip(predictions, truths, strict=True)]
    found, expected = evaluate_records(unique_images(records), CATEGORIES), boundary_numbers(predictions, truths)
    assert found["segm_map"] == pytest.approx(expected.all, abs=1e-12)
    assert found["segm_map_large"] == pytest.approx(expected.large, abs=1e-12, nan_ok=True)
    masks = [ImageRecord.build(*pair) for pair in zip(predictions, truths, strict=True)]
    assert found["segm_map"] < evaluate_records(unique_images(masks), CATEGORIES)["segm_map"]


def test_the_overlap_with_a_crowd_stays_that_of_the_masks():
    crowd, inside = np.ones((20, 20), bool), np.pad(np.ones((10, 10), bool), 5)
    pair = prediction(1, [inside], size=(20, 20)), truth(1, [crowd], iscrowd=[True], size=(20, 20))
    assert with_boundaries(ImageRecord.build(*pair), *pair).masks.ious.tolist() == [1.0]
    assert rle_to_bitmask(pair[0].rles[0]).sum() == 100
