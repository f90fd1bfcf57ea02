"""The numbers of the evaluation are those of pycocotools and of torchmetrics."""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from detections import (
    CAR,
    CATEGORIES,
    DOG,
    LEFT,
    SIZE,
    TOP_LEFT_PAIR,
    ap_of,
    computed,
    prediction,
    random_image,
    random_images,
    truth,
)
from factories import SHARED
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from instseg.core.categories import Categories
from instseg.core.masks import rle_to_bitmask, segmentation_to_rle
from instseg.core.types import GroundTruth
from instseg.evaluation import matching

COCO_TINY = SHARED / "coco_tiny/annotations/instances_val2017.json"
AREAS = [31.9**2, 32.0**2, 50.0**2, 96.0**2, 97.0**2, 1e10, 2e10]  # within the ranges of sizes, and on their borders
NUMBERS = ["map", "map_50", "map_75", "map_small", "map_medium", "map_large"]
NUMBERS += ["mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"]


def pycocotools_numbers(predictions, truths, iou_type, categories):
    """The 12 numbers of pycocotools' own COCOeval, NaN where it writes -1."""
    reference = COCO()
    reference.dataset = {
        "images": [{"id": t.image_id, "height": t.image_size[0], "width": t.image_size[1]} for t in truths],
        "categories": categories.to_coco(),
        "annotations": [],
    }
    for t in truths:
        for box, label, area, iscrowd, rle in zip(t.boxes, t.labels, t.areas, t.iscrowd, t.rles, strict=True):
            bbox = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            annotation = {"id": len(reference.dataset["annotations"]) + 1, "image_id": t.image_id, "area": area}
            annotation |= {"category_id": int(label), "bbox": bbox, "segmentation": rle, "iscrowd": int(iscrowd)}
            reference.dataset["annotations"].append(annotation)
    results = []
    for p in predictions:
        for box, label, score, rle in zip(p.boxes.astype(float), p.labels, p.scores, p.rles, strict=True):
            shape = {"segmentation": rle} if iou_type == "segm" else {"bbox": [*box[:2], *(box[2:] - box[:2])]}
            results.append({"image_id": p.image_id, "category_id": int(label), "score": float(score)} | shape)
    with contextlib.redirect_stdout(io.StringIO()):
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(results), iou_type)
        evaluation.params.maxDets = [1, 10, 100, 10_000]  # the last for map_all
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [value if value > -1 else math.nan for value in evaluation.stats.tolist()], evaluation


def assert_equal_to_pycocotools(predictions, truths, categories=CATEGORIES):
    result = computed(predictions, truths, categories)
    for iou_type in ("bbox", "segm"):
        expected, evaluation = pycocotools_numbers(predictions, truths, iou_type, categories)
        found = [result[f"{iou_type}_{name}"] for name in NUMBERS]
        assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)
        precision = evaluation.eval["precision"]
        assert result[f"{iou_type}_map_all"] == pytest.approx(ap_of(precision[..., 0, 3]), abs=1e-12, nan_ok=True)
        for index, name in enumerate(categories.names):
            ap = ap_of(precision[:, :, index, 0, 2])
            assert result[f"{iou_type}_map/{name}"] == pytest.approx(ap, abs=1e-12, nan_ok=True)
    return result


@pytest.mark.parametrize("seed", range(8))
def test_random_images_with_crowds_ties_and_empties_give_pycocotools_numbers(seed):
    result = assert_equal_to_pycocotools(*random_images(seed))
    assert 0 < result["segm_map"] < 1 and math.isnan(result["segm_map/cake"])


def test_more_than_a_hundred_detections_of_a_category_give_pycocotools_numbers():
    rng = np.random.default_rng(0)
    pairs = [random_image(rng, image_id, 8, 150, [CAR]) for image_id in (3, 1)]
    assert all(len(made) > 120 for made, _ in pairs)
    result = assert_equal_to_pycocotools(*(list(column) for column in zip(*pairs, strict=True)))
    assert result["segm_mar_10"] < result["segm_mar_100"]


def test_all_of_many_detections_count_in_map_all_alone():
    masks = list(np.eye(104, dtype=bool).reshape(104, 8, 13))  # one pixel each
    made = [prediction(1, masks, np.linspace(1, 0.1, 104), size=(8, 13))]
    result = assert_equal_to_pycocotools(made, [truth(1, masks, size=(8, 13))])
    assert result["segm_map"] < 0.98 and result["segm_map_all"] == pytest.approx(1)


def test_hundreds_of_instances_on_one_image_give_pycocotools_numbers():
    made, true = random_image(np.random.default_rng(0), 1, 300, 0, [CAR, DOG])
    assert len(made) > 255 and len(true) > 255  # pycocotools counts the masks whose areas it is asked for in a byte
    assert_equal_to_pycocotools([made], [true])


def coarse_rectangles(rng, num_rectangles):
    masks = np.zeros((num_rectangles, 4, 4), dtype=bool)
    for mask, (top, left, height, width) in zip(masks, rng.integers([0, 0, 1, 1], 3, (num_rectangles, 4)), strict=True):
        mask[top : top + height, left : left + width] = True
    return list(masks)


def coarse_image(rng, image_id):
    """Rectangles of so few pixels that many pairs have the same IoU, often exactly one of the thresholds."""
    num_found, num_true = rng.integers(0, 9), rng.integers(0, 6)
    labels = rng.choice([CAR, DOG], num_found), rng.choice([CAR, DOG], num_true)
    scores, iscrowd = rng.random(num_found).round(1), rng.random(num_true) < 0.2
    made = prediction(image_id, coarse_rectangles(rng, num_found), scores, labels[0], (4, 4))
    true = coarse_rectangles(rng, num_true)
    return made, truth(image_id, true, labels[1], iscrowd, rng.choice(AREAS, num_true), (4, 4))


@pytest.mark.parametrize("seed", range(8))
def test_equal_ious_and_areas_on_a_border_give_pycocotools_numbers(seed):
    rng = np.random.default_rng(seed)
    pairs = [coarse_image(rng, image_id) for image_id in range(30)]
    assert_equal_to_pycocotools(*(list(column) for column in zip(*pairs, strict=True)))


def test_of_two_instances_with_the_same_iou_the_later_one_is_taken():
    made = [prediction(1, [LEFT, TOP_LEFT_PAIR], [0.9, 0.8])]  # the first overlaps both halves by 1/2
    halves = [TOP_LEFT_PAIR, np.roll(TOP_LEFT_PAIR, 2, axis=1)]
    assert assert_equal_to_pycocotools(made, [truth(1, halves)])["segm_mar_100"] == pytest.approx(0.55)
    assert assert_equal_to_pycocotools(made, [truth(1, halves[::-1])])["segm_mar_100"] == pytest.approx(0.5)


def test_how_many_detections_are_matched_in_one_step_changes_nothing(monkeypatch):
    images = random_images(0)
    expected = computed(*images)
    monkeypatch.setattr(matching, "STEP_SIZE", 1)
    assert repr(computed(*images)) == repr(expected)


def test_image_ids_of_64_bits_give_pycocotools_numbers():
    predictions, truths = random_images(1, num_images=2)
    for offset, (made, true) in enumerate(zip(predictions, truths, strict=True)):
        made.image_id = true.image_id = 2**60 + offset  # one number if kept as float
    assert assert_equal_to_pycocotools(predictions, truths)["num_images"] == 2


@pytest.mark.parametrize("backend", ["pycocotools", "faster_coco_eval"])
def test_dense_masks_in_torchmetrics_give_the_same_numbers(backend):
    from torchmetrics.detection import MeanAveragePrecision

    predictions, truths = random_images(3, num_images=6)
    predictions.sort(key=lambda p: p.image_id)  # torchmetrics breaks ties in score by the order of the images
    truths.sort(key=lambda t: t.image_id)
    # Its default thresholds are rounded to float32, so a recall of exactly 0.1 misses the threshold 0.1.
    exact = {"iou_thresholds": np.linspace(0.5, 0.95, 10).tolist(), "rec_thresholds": np.linspace(0, 1, 101).tolist()}
    reference = MeanAveragePrecision(iou_type=("bbox", "segm"), class_metrics=True, backend=backend, **exact)
    dense = [torch.from_numpy(np.array([rle_to_bitmask(r) for r in p.rles]).reshape(-1, *SIZE)) for p in predictions]
    true = [torch.from_numpy(np.array([rle_to_bitmask(r) for r in t.rles]).reshape(-1, *SIZE)) for t in truths]
    reference.update(
        [
            {"boxes": torch.tensor(p.boxes), "masks": m.bool(), "scores": torch.tensor(p.scores)}
            | {"labels": torch.tensor(p.labels)}
            for p, m in zip(predictions, dense, strict=True)
        ],
        [
            {"boxes": torch.tensor(t.boxes), "masks": m.bool(), "labels": torch.tensor(t.labels)}
            | {"iscrowd": torch.tensor(t.iscrowd).int(), "area": torch.tensor(t.areas)}
            for t, m in zip(truths, true, strict=True)
        ],
    )
    expected = reference.compute()
    result = computed(predictions, truths)
    for iou_type in ("bbox", "segm"):
        values = [float(expected[f"{iou_type}_{name}"]) for name in NUMBERS]
        values = [value if value > -1 else math.nan for value in values]
        assert [result[f"{iou_type}_{name}"] for name in NUMBERS] == pytest.approx(values, abs=1e-6, nan_ok=True)
        per_class = [result[f"{iou_type}_map/{CATEGORIES.name(label)}"] for label in expected["classes"].tolist()]
        assert per_class == pytest.approx(expected[f"{iou_type}_map_per_class"].tolist(), abs=1e-6)


def jittered(true, rng, num_labels):
    """A detector's mistakes on real masks: dropped, shifted, doubled, mislabelled."""
    masks, labels = [], []
    for rle, label in zip(true.rles, true.labels, strict=True):
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            masks.append(np.roll(rle_to_bitmask(rle), tuple(rng.integers(-4, 5, size=2)), axis=(0, 1)))
            labels.append(label if rng.random() < 0.95 else rng.integers(1, num_labels + 1))
    return prediction(true.image_id, masks, rng.random(len(masks)), labels, true.image_size)


@pytest.mark.skipif(not COCO_TINY.is_file(), reason="COCO images are not here")
def test_jittered_coco_annotations_give_pycocotools_numbers():
    coco = json.loads(COCO_TINY.read_text())
    categories = Categories(tuple(category["name"] for category in coco["categories"]))
    id_to_label = categories.id_to_label(coco["categories"])
    annotations = defaultdict(list)
    for annotation in coco["annotations"]:
        annotations[annotation["image_id"]].append(annotation)
    truths = []
    for image in coco["images"]:
        found, size = annotations[image["id"]], (image["height"], image["width"])
        boxes = np.array([a["bbox"] for a in found], dtype=np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([id_to_label[a["category_id"]] for a in found], dtype=np.int64)
        areas, iscrowd = np.array([a["area"] for a in found]), np.array([a["iscrowd"] for a in found], dtype=bool)
        rles = [segmentation_to_rle(a["segmentation"], size) for a in found]
        truths.append(GroundTruth(image["id"], size, boxes, labels, areas, iscrowd, rles))
    rng = np.random.default_rng(0)
    result = assert_equal_to_pycocotools([jittered(t, rng, len(categories)) for t in truths], truths, categories)
    assert sum(t.iscrowd.sum() for t in truths) == 11 and 0.1 < result["segm_map"] < 0.9
