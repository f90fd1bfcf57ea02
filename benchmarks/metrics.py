"""Claim: mask and box evaluation costs a fraction of torchmetrics', gives pycocotools' numbers and keeps memory small.

    python benchmarks/metrics.py --images 100 --detections 50

Every contender gets the same made-up detections (ellipses, shifted, missed, doubled) image by image and its
``update`` and ``compute`` are timed, alternately, in this process. The dense masks that torchmetrics asks for are
made outside the clock. Memory is the growth of the resident set in a forked copy of this process, so that none
profits from what another has allocated.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchmetrics.detection import MeanAveragePrecision

from instseg.categories import Categories
from instseg.masks import crop_to_rle, rle_area, rle_to_bitmask, rle_to_box
from instseg.metrics import CocoMaskMetrics
from instseg.types import GroundTruth, Prediction, Rle

SIZE = (480, 640)
NUMBERS = ["map", "map_50", "map_75", "map_small", "map_medium", "map_large"]
NUMBERS += ["mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"]

Pairs = list[tuple[Prediction, GroundTruth]]
Result = tuple[dict[str, float], float]
"""The numbers and the seconds they took."""


def make_images(num_images: int, num_detections: int, num_categories: int, seed: int) -> Pairs:
    rng = np.random.default_rng(seed)
    return [make_image(rng, image_id, num_detections, num_categories) for image_id in range(1, num_images + 1)]


def make_image(
    rng: np.random.Generator, image_id: int, num_detections: int, num_categories: int
) -> tuple[Prediction, GroundTruth]:
    sides = rng.integers(10, 200, (max(num_detections // 5, 1), 2))
    most = np.array(SIZE) - 200
    corners = rng.integers(0, most, sides.shape)
    labels = rng.integers(1, num_categories + 1, len(sides))
    rles = [ellipse(corner, side) for corner, side in zip(corners, sides, strict=True)]
    source = rng.integers(0, len(sides), num_detections)
    shifted = np.clip(corners[source] + rng.integers(-15, 16, (num_detections, 2)), 0, most)
    found = [ellipse(corner, side) for corner, side in zip(shifted, sides[source], strict=True)]
    found_labels = np.where(
        rng.random(num_detections) < 0.8, labels[source], rng.integers(1, num_categories + 1, num_detections)
    )
    areas = np.array([rle_area(rle) for rle in rles])
    truth = GroundTruth(image_id, SIZE, boxes_of(rles), labels, areas, rng.random(len(rles)) < 0.02, rles)
    scores = rng.random(num_detections).astype(np.float32)
    return Prediction(image_id, SIZE, boxes_of(found).astype(np.float32), found_labels, scores, found), truth


def ellipse(corner: np.ndarray, side: np.ndarray) -> Rle:
    y, x = np.ogrid[: side[0], : side[1]]
    inside = ((y + 0.5) / side[0] - 0.5) ** 2 + ((x + 0.5) / side[1] - 0.5) ** 2 <= 0.25
    return crop_to_rle(inside, int(corner[1]), int(corner[0]), SIZE)


def boxes_of(rles: list[Rle]) -> np.ndarray:
    return np.array([rle_to_box(rle) for rle in rles]).reshape(-1, 4)


def run_ours(pairs: Pairs, categories: Categories) -> Result:
    metric = CocoMaskMetrics(categories)
    start = time.perf_counter()
    for prediction, truth in pairs:
        metric.update([prediction], [truth])
    return metric.compute(), time.perf_counter() - start


def run_torchmetrics(backend: Literal["pycocotools", "faster_coco_eval"]) -> Callable[[Pairs, Categories], Result]:
    def run(pairs: Pairs, categories: Categories) -> Result:
        # torchmetrics' own thresholds are rounded to float32, which moves a number now and then
        iou, recall = np.linspace(0.5, 0.95, 10).tolist(), np.linspace(0, 1, 101).tolist()
        metric = MeanAveragePrecision(
            iou_type=("bbox", "segm"), backend=backend, class_metrics=True, iou_thresholds=iou, rec_thresholds=recall
        )
        seconds = 0.0
        for prediction, truth in pairs:
            dense = dense_prediction(prediction), dense_truth(truth)
            start = time.perf_counter()
            metric.update([dense[0]], [dense[1]])
            seconds += time.perf_counter() - start
        start = time.perf_counter()
        found = metric.compute()
        seconds += time.perf_counter() - start
        return {
            f"{kind}_{name}": float(found[f"{kind}_{name}"]) for kind in ("bbox", "segm") for name in NUMBERS
        }, seconds

    return run


def dense_prediction(prediction: Prediction) -> dict[str, torch.Tensor]:
    arrays = {"boxes": prediction.boxes, "labels": prediction.labels, "scores": prediction.scores}
    return {key: torch.from_numpy(array) for key, array in arrays.items()} | {"masks": dense_masks(prediction.rles)}


def dense_truth(truth: GroundTruth) -> dict[str, torch.Tensor]:
    arrays = {"boxes": truth.boxes, "labels": truth.labels, "iscrowd": truth.iscrowd.astype(int), "area": truth.areas}
    return {key: torch.from_numpy(array) for key, array in arrays.items()} | {"masks": dense_masks(truth.rles)}


def dense_masks(rles: list[Rle]) -> torch.Tensor:
    return torch.from_numpy(np.array([rle_to_bitmask(rle) for rle in rles], dtype=bool).reshape(-1, *SIZE))


def run_pycocotools(pairs: Pairs, categories: Categories) -> Result:
    start = time.perf_counter()
    values: dict[str, float] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for kind in ("bbox", "segm"):
            evaluation = COCOeval(*coco_pair(pairs, categories, kind), kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            values |= {f"{kind}_{name}": float(v) for name, v in zip(NUMBERS, evaluation.stats, strict=True)}
    return values, time.perf_counter() - start


def coco_pair(pairs: Pairs, categories: Categories, kind: str) -> tuple[COCO, COCO]:
    coco = COCO()
    results: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for prediction, truth in pairs:
        for row, (label, rle) in enumerate(zip(truth.labels.tolist(), truth.rles, strict=True)):
            entry = {"id": len(annotations) + 1, "image_id": truth.image_id, "category_id": label}
            entry |= {"bbox": xywh(truth.boxes[row]), "segmentation": rle, "area": truth.areas[row]}
            annotations.append(entry | {"iscrowd": int(truth.iscrowd[row])})
        for row, (label, rle) in enumerate(zip(prediction.labels.tolist(), prediction.rles, strict=True)):
            shape = {"segmentation": rle} if kind == "segm" else {"bbox": xywh(prediction.boxes[row])}
            score = float(prediction.scores[row])
            results.append({"image_id": truth.image_id, "category_id": label, "score": score} | shape)
    images = [{"id": t.image_id, "height": SIZE[0], "width": SIZE[1]} for _, t in pairs]
    coco.dataset = {"images": images, "categories": categories.to_coco(), "annotations": annotations}
    coco.createIndex()
    return coco, coco.loadRes(results)


def xywh(box: np.ndarray) -> list[float]:
    x1, y1, x2, y2 = box.astype(float).tolist()
    return [x1, y1, x2 - x1, y2 - y1]


CONTENDERS: dict[str, Callable[[Pairs, Categories], Result]] = {
    "instseg": run_ours,
    "pycocotools": run_pycocotools,
    "torchmetrics, faster_coco_eval": run_torchmetrics("faster_coco_eval"),
    "torchmetrics, pycocotools": run_torchmetrics("pycocotools"),
}


def rss_growth_mb(run: Callable[[Pairs, Categories], Result], pairs: Pairs, categories: Categories) -> float:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure_growth, args=(run, pairs, categories, sender))
    process.start()
    growth: float = receiver.recv()
    process.join()
    return growth


def _measure_growth(
    run: Callable[[Pairs, Categories], Result], pairs: Pairs, categories: Categories, sender: Connection
) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    run(pairs, categories)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sender.send(peak_kb / 1024 - pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def largest_difference(found: dict[str, float], expected: dict[str, float]) -> float:
    """Over the 24 numbers; NaN and -1 both mean that there is no ground truth."""
    keys = [f"{kind}_{name}" for kind in ("bbox", "segm") for name in NUMBERS]
    return max(abs(float(np.nan_to_num(found[k], nan=-1.0) - np.nan_to_num(expected[k], nan=-1.0))) for k in keys)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("images", 100), ("detections", 50), ("categories", 10), ("repeats", 3), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(1)
    categories = Categories(tuple(f"category {label}" for label in range(1, args.categories + 1)))
    pairs = make_images(args.images, args.detections, args.categories, args.seed)
    growth = {name: rss_growth_mb(run, pairs, categories) for name, run in CONTENDERS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    values: dict[str, dict[str, float]] = {}
    for _ in range(args.repeats):
        for name, run in CONTENDERS.items():
            values[name], taken = run(pairs, categories)
            seconds[name].append(taken)
    report(args, growth, seconds, values)


def report(
    args: argparse.Namespace,
    growth: dict[str, float],
    seconds: dict[str, list[float]],
    values: dict[str, dict[str, float]],
) -> None:
    packages = ", ".join(f"{n} {version(n)}" for n in ("pycocotools", "faster-coco-eval", "torchmetrics", "numpy"))
    print(f"{args.images} images x {args.detections} detections, {args.categories} categories, {args.repeats} repeats")
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, {packages}")
    print(f"{'':32}{'seconds':>9}{'ratio':>8}{'RSS MB':>9}{'difference':>12}")
    ours = min(seconds["instseg"])
    for name, taken in seconds.items():
        difference = largest_difference(values[name], values["pycocotools"])
        print(f"{name:32}{min(taken):9.2f}{min(taken) / ours:8.1f}{growth[name]:9.0f}{difference:12.1e}")
    worst = largest_difference(values["instseg"], values["pycocotools"])
    if worst > 1e-9:
        raise SystemExit(f"instseg and pycocotools differ by {worst}")


if __name__ == "__main__":
    main()
