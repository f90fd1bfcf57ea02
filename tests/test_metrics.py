"""Mask and box evaluation: hand-drawn cases, parity with pycocotools and torchmetrics, several processes."""

from __future__ import annotations

import contextlib
import io
import json
import math
import multiprocessing
import pickle
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from instseg import metrics as metrics_module
from instseg.categories import Categories
from instseg.errors import InstsegError
from instseg.masks import bitmask_to_rle, rle_area, rle_to_bitmask, rle_to_box, segmentation_to_rle
from instseg.metrics import CocoMaskMetrics
from instseg.types import GroundTruth, Prediction

CATEGORIES = Categories(("car", "dog", "cake"))
CAR, DOG, CAKE = 1, 2, 3
COCO_TINY = (Path(__file__).parents[1] / "../shared/data/coco_tiny/annotations/instances_val2017.json").resolve()
NUMBERS = ["map", "map_50", "map_75", "map_small", "map_medium", "map_large"]
NUMBERS += ["mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"]


def drawn(*rows: str) -> np.ndarray:
    """A mask as it looks: # is inside."""
    return np.array([[character == "#" for character in row] for row in rows])


LEFT = drawn("####....", "####....", "........", "........")
TOP_LEFT_PAIR = drawn("##......", "##......", "........", "........")  # half of LEFT
RIGHT = drawn("......##", "......##", "......##", "........")
EVERYTHING = np.ones((4, 8), dtype=bool)


def truth(image_id, masks, labels=None, iscrowd=None, areas=None, size=(4, 8)):
    rles = [bitmask_to_rle(mask) for mask in masks]
    n = len(rles)
    return GroundTruth(
        image_id,
        size,
        np.array([rle_to_box(rle) for rle in rles]).reshape(n, 4),
        np.array([CAR] * n if labels is None else labels, dtype=np.int64),
        np.array([rle_area(rle) for rle in rles] if areas is None else areas, dtype=np.float64),
        np.array([False] * n if iscrowd is None else iscrowd, dtype=bool),
        rles,
    )


def prediction(image_id, masks, scores=None, labels=None, size=(4, 8)):
    rles = [bitmask_to_rle(mask) for mask in masks]
    n = len(rles)
    return Prediction(
        image_id,
        size,
        np.array([rle_to_box(rle) for rle in rles], dtype=np.float32).reshape(n, 4),
        np.array([CAR] * n if labels is None else labels, dtype=np.int64),
        np.array([0.9] * n if scores is None else scores, dtype=np.float32),
        rles,
    )


def computed(predictions, truths, categories=CATEGORIES):
    metric = CocoMaskMetrics(categories)
    metric.update(predictions, truths)
    return metric.compute()


# --- small drawings -------------------------------------------------------------------------------------------------


def test_a_perfect_prediction_has_average_precision_and_recall_one():
    result = computed([prediction(1, [LEFT, RIGHT])], [truth(1, [LEFT, RIGHT])])
    for key in ("map", "map_50", "map_75", "map_small", "mar_10", "mar_100", "mar_small", "map/car"):
        assert result[f"segm_{key}"] == result[f"bbox_{key}"] == pytest.approx(1)
    assert result["segm_mar_1"] == 0.5, "one detection finds one of two"
    assert result["mean_mask_iou"] == 1
    assert (result["matched_instances"], result["num_instances"], result["num_images"]) == (2, 2, 1)


def test_numbers_without_ground_truth_are_nan_and_never_a_score_of_minus_one():
    result = computed([prediction(1, [LEFT])], [truth(1, [LEFT])])
    assert math.isnan(result["segm_map/dog"]) and math.isnan(result["bbox_map_large"])
    assert min(value for value in result.values() if not math.isnan(value)) >= 0


def test_an_empty_image_without_predictions_changes_nothing_but_the_image_count():
    one = computed([prediction(1, [LEFT])], [truth(1, [LEFT])])
    two = computed([prediction(1, [LEFT]), prediction(2, [])], [truth(1, [LEFT]), truth(2, [])])
    assert two.pop("num_images") == 2 and one.pop("num_images") == 1
    assert two == pytest.approx(one, nan_ok=True)


@pytest.mark.parametrize("num_images", [0, 1, 3])
def test_empty_images_alone_give_nan(num_images):
    ids = range(num_images)
    result = computed([prediction(i, []) for i in ids], [truth(i, []) for i in ids])
    assert result["num_images"] == num_images and result["num_instances"] == result["matched_instances"] == 0
    assert all(math.isnan(result[key]) for key in ("segm_map", "bbox_map", "mean_mask_iou", "segm_map/car"))


def test_an_image_without_predictions_lowers_recall():
    result = computed([prediction(1, [LEFT]), prediction(2, [])], [truth(1, [LEFT]), truth(2, [RIGHT])])
    assert result["segm_mar_100"] == 0.5 and result["segm_map"] == pytest.approx(51 / 101)
    assert result["mean_mask_iou"] == 1, "of what was found"
    assert (result["matched_instances"], result["num_instances"]) == (1, 2)


def test_a_better_scored_prediction_without_ground_truth_halves_precision():
    result = computed([prediction(1, [LEFT]), prediction(2, [RIGHT], [0.95])], [truth(1, [LEFT]), truth(2, [])])
    assert result["segm_map"] == pytest.approx(0.5) and result["segm_mar_100"] == 1


def test_detections_inside_a_crowd_are_neither_right_nor_wrong():
    truths = [truth(1, [LEFT, EVERYTHING], iscrowd=[False, True])]
    result = computed([prediction(1, [RIGHT, RIGHT, LEFT], [0.99, 0.98, 0.5])], truths)
    assert result["segm_map"] == result["bbox_map"] == pytest.approx(1)
    assert result["num_instances"] == 1 and result["matched_instances"] == 1


def test_a_mask_half_as_large_counts_as_found_with_iou_one_half_only():
    result = computed([prediction(1, [TOP_LEFT_PAIR])], [truth(1, [LEFT])])
    assert result["segm_map_50"] == pytest.approx(1) and result["segm_map_75"] == 0
    assert result["segm_map"] == pytest.approx(0.1), "one of ten IoU thresholds"
    assert result["mean_mask_iou"] == 0.5


def test_mean_mask_iou_gives_each_instance_to_the_best_scored_detection_above_one_half():
    masks, scores = [TOP_LEFT_PAIR, LEFT, RIGHT], [0.9, 0.8, 0.49]
    result = computed([prediction(1, masks, scores)], [truth(1, [LEFT, RIGHT])])
    assert result["mean_mask_iou"] == 0.5 and result["matched_instances"] == 1


def test_the_same_mask_under_another_label_is_wrong():
    result = computed([prediction(1, [LEFT], labels=[DOG])], [truth(1, [LEFT])])
    assert result["segm_map"] == 0 and result["matched_instances"] == 0


def test_the_annotated_area_decides_between_small_medium_and_large():
    result = computed([prediction(1, [LEFT])], [truth(1, [LEFT], areas=[50.0**2])])
    assert result["segm_map_medium"] == pytest.approx(1) and math.isnan(result["segm_map_small"])


def test_only_the_hundred_best_of_a_category_count():
    scores = np.linspace(0.9, 0.5, 101)
    result = computed([prediction(1, [RIGHT] * 100 + [LEFT], scores)], [truth(1, [LEFT])])
    assert result["segm_map"] == result["segm_mar_100"] == 0


# --- use as a metric ------------------------------------------------------------------------------------------------


def test_an_image_that_comes_twice_counts_once_and_the_first_time():
    metric = CocoMaskMetrics(CATEGORIES)
    metric.update([prediction(7, [LEFT])], [truth(7, [LEFT])])
    metric.update([prediction(7, [RIGHT])], [truth(7, [LEFT])])
    assert metric.compute()["num_images"] == 1 and metric.compute()["segm_map"] == pytest.approx(1)


def test_reset_forgets_and_updates_after_compute_count():
    metric = CocoMaskMetrics(CATEGORIES)
    metric.update([prediction(1, [RIGHT])], [truth(1, [LEFT])])
    assert metric.compute()["segm_map"] == 0
    metric.update([prediction(2, [LEFT])], [truth(2, [LEFT])])
    assert metric.compute()["num_images"] == 2
    metric.reset()
    metric.update([prediction(2, [LEFT])], [truth(2, [LEFT])])
    assert metric.compute()["segm_map"] == pytest.approx(1)


def test_forward_returns_the_batch_and_keeps_the_rest():
    metric = CocoMaskMetrics(CATEGORIES)
    metric([prediction(1, [RIGHT])], [truth(1, [LEFT])])
    assert metric([prediction(2, [LEFT])], [truth(2, [LEFT])])["segm_map"] == pytest.approx(1)
    assert metric.compute()["num_images"] == 2


def test_moving_cloning_pickling_and_hashing_keep_the_records():
    metric = CocoMaskMetrics(CATEGORIES)
    metric.update([prediction(1, [LEFT])], [truth(1, [LEFT])])
    metric.to("cpu").to("meta").half()
    copies = [metric, metric.clone(), pickle.loads(pickle.dumps(metric))]
    assert [copy.compute()["segm_map"] for copy in copies] == pytest.approx([1, 1, 1])
    assert hash(metric) is not None and metric.state_dict() == {}
    assert list(torch.nn.ModuleList([metric]).named_modules())


def test_nothing_is_printed(capsys):
    computed([prediction(1, [LEFT])], [truth(1, [LEFT])])
    assert capsys.readouterr() == ("", "")


def test_records_grow_with_instances_and_not_with_pixels():
    size = (1000, 1500)
    mask = np.zeros(size, dtype=bool)
    mask[100:900, 100:1400] = True
    metric = CocoMaskMetrics(CATEGORIES)
    metric.update([prediction(1, [mask] * 50, size=size)], [truth(1, [mask], size=size)])
    rle_bytes = 51 * len(bitmask_to_rle(mask)["counts"])
    assert len(pickle.dumps(metric.records)) < rle_bytes + 51 * 60 + 2000


@pytest.mark.parametrize(
    ("predictions", "truths", "message"),
    [
        ([], [truth(1, [])], "1 images with ground truth, 0 predictions"),
        ([prediction(2, [])], [truth(1, [])], "image 1: the prediction is of image 2"),
        ([prediction(1, [LEFT], labels=[4])], [truth(1, [])], "prediction: expected labels 1..3, found 4"),
        ([prediction(1, [])], [truth(1, [LEFT], labels=[0])], "ground truth: expected labels 1..3, found 0"),
        ([prediction(1, [LEFT.T])], [truth(1, [LEFT])], r"expected masks of size \[4, 8\], found \[8, 4\]"),
        ([prediction(1, [LEFT], [math.nan])], [truth(1, [LEFT])], "finite scores"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_expected(predictions, truths, message):
    metric = CocoMaskMetrics(CATEGORIES)
    with pytest.raises(InstsegError, match=message):
        metric.update(predictions, truths)
    assert metric.records == []


# --- parity ---------------------------------------------------------------------------------------------------------


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
        for index, name in enumerate(categories.names):
            precision = evaluation.eval["precision"][:, :, index, 0, 2]
            ap = precision[precision > -1].mean() if (precision > -1).any() else math.nan
            assert result[f"{iou_type}_map/{name}"] == pytest.approx(ap, abs=1e-12, nan_ok=True)
    return result


SIZE = (160, 200)


def random_ellipse(rng, max_side=150):
    height, width = rng.integers(2, max_side, size=2)
    top, left = rng.integers(-5, SIZE[0] - 5), rng.integers(-5, SIZE[1] - 5)
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    return ((y - top - height / 2) / height) ** 2 + ((x - left - width / 2) / width) ** 2 <= 0.25


def random_image(rng, image_id, num_instances, num_extra, labels):
    """Ellipses, some of them crowds; predictions shift most of them, miss some, double some and add others."""
    masks = [random_ellipse(rng) for _ in range(num_instances)]
    true_labels = rng.choice(labels, num_instances)
    found, found_labels = [], []
    for mask, label in zip(masks, true_labels, strict=True):
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            found.append(np.roll(mask, tuple(rng.integers(-6, 7, size=2)), axis=(0, 1)))
            found_labels.append(label if rng.random() < 0.9 else rng.choice(labels))
    found += [random_ellipse(rng, 60) for _ in range(num_extra)]
    found_labels += rng.choice(labels, num_extra).tolist()
    scores = rng.random(len(found)).round(1)  # many ties
    iscrowd = rng.random(num_instances) < 0.15
    areas = np.array([mask.sum() for mask in masks]) * rng.uniform(0.5, 1.5, num_instances)
    made = prediction(image_id, found, scores, found_labels, SIZE)
    return made, truth(image_id, masks, true_labels, iscrowd, areas, SIZE)


def random_images(seed, num_images=8, labels=(CAR, DOG)):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(1000)[:num_images].tolist()  # neither sorted nor from 0 on
    pairs = [random_image(rng, image_id, rng.integers(0, 7), rng.integers(0, 6), labels) for image_id in ids]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


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


# --- several processes ----------------------------------------------------------------------------------------------

SPLITS = {  # images of rank 0 and of rank 1
    "uneven": (range(5), range(5, 7)),
    "one rank without images": (range(3), ()),
    "the first rank without images": ((), range(3)),
    "padded by the sampler": (range(4), (4, 5, 6, 0)),
    "nothing anywhere": ((), ()),
}


def test_two_processes_give_the_numbers_of_one_to_the_last_digit(tmp_path):
    subprocess.run([sys.executable, __file__, str(tmp_path)], check=True, timeout=120)
    predictions, truths = random_images(0, num_images=7)
    ranks = [pickle.loads((tmp_path / f"{rank}.pkl").read_bytes()) for rank in (0, 1)]
    for name, (first, second) in SPLITS.items():
        indices = sorted({*first, *second})
        alone = computed([predictions[i] for i in indices], [truths[i] for i in indices])
        assert repr(ranks[0][name]) == repr(ranks[1][name]) == repr(alone), name
    assert [rank["records after compute"] for rank in ranks] == [5, 2], "each rank has its own images back"
    assert [rank["own"] for rank in ranks] == [5, 2], "sync_on_compute=False stays on the rank"
    assert [rank["group of its own"] for rank in ranks] == [5, 2]
    assert [rank["error"] for rank in ranks] == ["ZeroDivisionError", "RuntimeError"], "and nobody waits for ever"


def worker(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    groups = [torch.distributed.new_group([0]), torch.distributed.new_group([1])]
    predictions, truths = random_images(0, num_images=7)
    answer = {}
    metric = CocoMaskMetrics(CATEGORIES)

    def update(metric, name):
        for index in SPLITS[name][rank]:
            metric.update([predictions[index]], [truths[index]])

    for name in SPLITS:
        metric.reset()
        update(metric, name)
        answer[name] = metric.compute()
        assert metric.compute() is answer[name]
        if name == "uneven":
            answer["records after compute"] = len(metric.records)
    for name, options in (("own", {"sync_on_compute": False}), ("group of its own", {"process_group": groups[rank]})):
        separate = CocoMaskMetrics(CATEGORIES, **options)
        update(separate, "uneven")
        answer[name] = separate.compute()["num_images"]
    metrics_module.evaluate_records = lambda *_: 1 / 0
    metric.reset()
    try:
        metric.compute()
    except Exception as error:
        answer["error"] = type(error).__name__
    (folder / f"{rank}.pkl").write_bytes(pickle.dumps(answer))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":  # imports once, then becomes two ranks
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=worker, args=(rank, Path(sys.argv[1])), daemon=True) for rank in (0, 1)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=60)
    sys.exit(any(process.exitcode != 0 for process in ranks))
