"""Claim: 5,000 images x 100 detections are evaluated in seconds: over 10x as fast as torchmetrics, in linear time.

    python benchmarks/evaluation.py

Images, ground truths and detections are made (``made_detections.py``, 640x480, 80 categories). Every contender starts
from what its user has: ours from run-length masks; torchmetrics from dense masks, made outside its clock; pycocotools
and faster_coco_eval from the same run-length masks, put into the dictionaries that they ask for. All end with the 24
COCO numbers of boxes and masks (``update`` and ``compute``), which must agree. torchmetrics, which would need minutes
for all images, is compared on fewer; one pair of its rows adds to ours the encoding of those dense masks.

Memory is the growth of the resident set in a forked copy of this process, so that none profits from what another has
allocated. Time is compared in this process, and its growth between the forks.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

import faster_coco_eval
import numpy as np
import torch
from made_detections import NUM_CATEGORIES, SIZE, Pairs, make_images
from processes import apart, cost
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchmetrics.detection import MeanAveragePrecision

from comparing import Row, compared, figure, main
from instseg.core.categories import Categories
from instseg.core.masks import bitmask_to_rle, rle_to_bitmask
from instseg.core.types import GroundTruth, Prediction, Rle
from instseg.evaluation.metrics import CocoMaskMetrics

CATEGORIES = Categories(tuple(f"category {label}" for label in range(1, NUM_CATEGORIES + 1)))
NUMBERS = ["map", "map_50", "map_75", "map_small", "map_medium", "map_large"]
NUMBERS += ["mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"]
KINDS = ("bbox", "segm")

Numbers = dict[str, float]
Contender = Callable[[Pairs], tuple[Numbers, float]]
"""Returns the numbers and the seconds that they took."""


def run_ours(pairs: Pairs) -> tuple[Numbers, float]:
    start = time.perf_counter()
    metric = CocoMaskMetrics(CATEGORIES)
    for prediction, truth in pairs:
        metric.update([prediction], [truth])
    return metric.compute(), time.perf_counter() - start


def encode_first(pairs: Pairs) -> float:
    """Seconds that the dense masks of the detections take to become run-length masks."""
    seconds = 0.0
    for prediction, _ in pairs:
        dense = dense_masks(prediction.rles).numpy()
        start = time.perf_counter()
        for mask in dense:
            bitmask_to_rle(mask)
        seconds += time.perf_counter() - start
    return seconds


def run_torchmetrics(backend: Literal["pycocotools", "faster_coco_eval"]) -> Contender:
    def run(pairs: Pairs) -> tuple[Numbers, float]:
        # torchmetrics' own thresholds are rounded to float32, which moves a number now and then
        exact = {
            "iou_thresholds": np.linspace(0.5, 0.95, 10).tolist(),
            "rec_thresholds": np.linspace(0, 1, 101).tolist(),
        }
        metric = MeanAveragePrecision(iou_type=("bbox", "segm"), backend=backend, class_metrics=True, **exact)
        seconds = 0.0
        for prediction, truth in pairs:
            dense = dense_prediction(prediction), dense_truth(truth)
            start = time.perf_counter()
            metric.update([dense[0]], [dense[1]])
            seconds += time.perf_counter() - start
        start = time.perf_counter()
        values = metric.compute()
        seconds += time.perf_counter() - start
        return {f"{kind}_{name}": float(values[f"{kind}_{name}"]) for kind in KINDS for name in NUMBERS}, seconds

    return run


def dense_prediction(prediction: Prediction) -> dict[str, torch.Tensor]:
    arrays = {"boxes": prediction.boxes, "labels": prediction.labels, "scores": prediction.scores}
    return {key: torch.from_numpy(array) for key, array in arrays.items()} | {"masks": dense_masks(prediction.rles)}


def dense_truth(truth: GroundTruth) -> dict[str, torch.Tensor]:
    arrays = {"boxes": truth.boxes, "labels": truth.labels, "iscrowd": truth.iscrowd.astype(int), "area": truth.areas}
    return {key: torch.from_numpy(array) for key, array in arrays.items()} | {"masks": dense_masks(truth.rles)}


def dense_masks(rles: list[Rle]) -> torch.Tensor:
    return torch.from_numpy(np.array([rle_to_bitmask(rle) for rle in rles], dtype=bool).reshape(-1, *SIZE))


def run_coco(index: Callable[[], Any], evaluator: Callable[[Any, Any, str], Any]) -> Contender:
    """pycocotools, or what has its interface."""

    def run(pairs: Pairs) -> tuple[Numbers, float]:
        start = time.perf_counter()
        values: Numbers = {}
        with contextlib.redirect_stdout(io.StringIO()):
            truth = index()
            truth.dataset = coco_dataset(pairs)
            truth.createIndex()
            for kind in KINDS:
                evaluation = evaluator(truth, truth.loadRes(coco_results(pairs, kind)), kind)
                for step in (evaluation.evaluate, evaluation.accumulate, evaluation.summarize):
                    step()
                values |= {f"{kind}_{name}": float(evaluation.stats[i]) for i, name in enumerate(NUMBERS)}
        return values, time.perf_counter() - start

    return run


def coco_dataset(pairs: Pairs) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for _, truth in pairs:
        columns = zip(truth.labels.tolist(), truth.boxes, truth.areas.tolist(), truth.iscrowd, truth.rles, strict=True)
        for label, box, area, iscrowd, rle in columns:
            entry = {"id": len(annotations) + 1, "image_id": truth.image_id, "category_id": label, "area": area}
            annotations.append(entry | {"bbox": xywh(box), "segmentation": rle, "iscrowd": int(iscrowd)})
    images = [{"id": truth.image_id, "height": SIZE[0], "width": SIZE[1]} for _, truth in pairs]
    return {"images": images, "categories": CATEGORIES.to_coco(), "annotations": annotations}


def coco_results(pairs: Pairs, kind: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for prediction, _ in pairs:
        columns = zip(prediction.labels.tolist(), prediction.scores, prediction.boxes, prediction.rles, strict=True)
        for label, score, box, rle in columns:
            shape = {"segmentation": rle} if kind == "segm" else {"bbox": xywh(box)}
            results.append({"image_id": prediction.image_id, "category_id": label, "score": float(score)} | shape)
    return results


def xywh(box: np.ndarray) -> list[float]:
    x1, y1, x2, y2 = box.tolist()
    return [x1, y1, x2 - x1, y2 - y1]


DICTIONARIES: dict[str, Contender] = {
    "pycocotools": run_coco(COCO, COCOeval),
    "faster_coco_eval": run_coco(faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
}
TOLERANCE = {"pycocotools": 1e-9, "faster_coco_eval": 1e-9}  # torchmetrics rounds to float32
TOLERANCE |= {"torchmetrics, faster_coco_eval": 1e-6, "torchmetrics, pycocotools": 1e-6}
TORCHMETRICS: dict[str, Contender] = {
    "torchmetrics, faster_coco_eval": run_torchmetrics("faster_coco_eval"),
    "torchmetrics, pycocotools": run_torchmetrics("pycocotools"),
}


def against(
    pairs: Pairs, others: Mapping[str, Contender], repeats: int, extra: float = 0, note: str = "", goal: str = ""
) -> Iterator[Row]:
    """A row for each of the others, ours run in turn with them; ``extra`` seconds are added to ours."""
    seconds: dict[str, list[float]] = {name: [] for name in others}
    own, differences = [], dict.fromkeys(others, 0.0)
    for _ in range(repeats):
        expected, taken = run_ours(pairs)
        own.append(taken + extra)
        for name, run in others.items():
            values, taken = run(pairs)
            seconds[name].append(taken)
            differences[name] = max(differences[name], largest_difference(expected, values))
    what = f"{len(pairs):,} images, {sum(len(truth) for _, truth in pairs):,} ground truths{note}"
    for name, taken_by in seconds.items():
        if differences[name] > TOLERANCE[name]:
            raise SystemExit(f"instseg and {name} differ by {differences[name]}")
        agree = f"24 numbers within {differences[name]:.0e}" if differences[name] else "24 numbers equal"
        yield compared(what, name, own, taken_by, "s", goal, agree)


def largest_difference(ours: Numbers, theirs: Numbers) -> float:
    """NaN and -1 both mean that there is no ground truth."""
    return max(abs(float(np.nan_to_num(ours[key], nan=-1.0)) - value) for key, value in theirs.items())


def growth(pairs: Pairs, num_runs: int) -> Iterator[Row]:
    """Time and memory of ours as the images double."""
    sizes = [len(pairs) // 8, len(pairs) // 4, len(pairs) // 2, len(pairs)]
    fastest = []
    for size in sizes:
        runs = [apart(cost, partial(run_ours, pairs[:size])) for _ in range(num_runs)]
        fastest.append(min(seconds for seconds, _ in runs))
        growth_mb = max(megabytes for _, megabytes in runs)
        yield figure(f"{size:,} images", f"{fastest[-1]:.2f} s, RSS +{growth_mb:.0f} MB", "RSS below +1000 MB")
    exponent = np.polyfit(np.log(sizes), np.log(fastest), 1)[0]
    yield figure("time grows with", f"images^{exponent:.2f}", "images^1")


def measure(arguments: argparse.Namespace) -> Iterator[Row]:
    torch.set_num_threads(1)
    pairs = make_images(1000 if arguments.quick else 5000)
    gc.collect()
    gc.freeze()  # millions of objects that the collector would visit again and again, at everyone's cost
    repeats = 1 if arguments.quick else min(arguments.repeats, 3)
    # first, as memory that others gave back would be used again without a trace
    yield from growth(pairs, repeats)
    eighth = pairs[: len(pairs) // 8]
    seconds, megabytes = apart(cost, partial(DICTIONARIES["pycocotools"], eighth))
    yield figure(f"{len(eighth):,} images in pycocotools", f"{seconds:.2f} s, RSS +{megabytes:.0f} MB")
    yield from against(pairs, DICTIONARIES, 1)
    few, more = pairs[:50], pairs[:200]
    yield from against(few, TORCHMETRICS, repeats, goal="10x or more")
    yield from against(few, TORCHMETRICS, 1, encode_first(few), ", dense masks encoded")
    if not arguments.quick:
        yield from against(more, TORCHMETRICS, 1, goal="10x or more")
    gc.unfreeze()


if __name__ == "__main__":
    main(__doc__, measure)
