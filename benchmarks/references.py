"""Claim: error types, boundary AP, calibration and AP beyond 100 detections are the numbers of published tools.

    pip install --no-deps tidecv appdirs seaborn pandas hotcoco vernier   # in an environment of its own
    python benchmarks/references.py

Inputs are made by tests/detections.py: hundreds of sets of ten images with crowds, ties of scores and IoUs, duplicates
and confused categories; every second one with a limit of three detections an image for tidecv. A tool that is not
installed is named and left out. The second part times the evaluation of 5,000 images x 100 detections, boxes and
masks, against hotcoco in one thread, in CPU seconds, in turn; once from the dictionaries that it reads, and once with
the making of these, as a program that holds predictions needs them.
"""

from __future__ import annotations

import os

os.environ["RAYON_NUM_THREADS"] = "1"  # before hotcoco is imported

import contextlib
import gc
import io
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from evaluation import NUMBERS, coco_dataset, coco_results, largest_difference, run_ours
from made_detections import Pairs, make_images
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from comparing import Row, compared, figure, main
from instseg.core.categories import Categories
from instseg.core.types import Rle
from instseg.evaluation.assignment import assign
from instseg.evaluation.boundaries import with_boundaries
from instseg.evaluation.calibration import Scored, expected_error
from instseg.evaluation.detection_limits import NO_LIMIT
from instseg.evaluation.error_costs import error_costs
from instseg.evaluation.error_types import TYPES, type_errors
from instseg.evaluation.image_details import DetailsPool, ImageDetails
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.metrics import evaluate_records

sys.path.append(str(Path(__file__).parents[1] / "tests"))
FEW = Categories(("car", "dog", "cake"))
Numbers = Sequence[float]
Reference = Callable[[ModuleType, Pairs, int], Numbers]


def made(seed: int) -> Pairs:
    """Ten images, sorted by id."""
    images = import_module("detections").random_images(seed, num_images=10, labels=(1, 2, 3))
    return sorted(zip(*images, strict=True), key=lambda pair: int(pair[1].image_id))


def details_of(pairs: Pairs) -> DetailsPool:
    return DetailsPool.of([ImageDetails.build(*pair) for pair in pairs])


def our_types(pairs: Pairs, limit: int) -> Numbers:
    """AP, the cost of each type and of both special ones, and the counts of the types."""
    pool = details_of(pairs)
    found = error_costs(pool, type_errors(pool, limit=limit or NO_LIMIT), np.zeros((0, len(pairs)), np.int64))
    costs = [found.ap, *(found.costs[name] for name in TYPES), found.false_positives, found.false_negatives]
    return [*(cost.value for cost in costs), *(float(found.counts[name]) for name in TYPES)]


def types_of_tidecv(tidecv: ModuleType, pairs: Pairs, limit: int) -> Numbers:
    truths, found = (tidecv.Data(name, max_dets=limit or 10_000) for name in ("truths", "found"))
    for prediction, truth in pairs:
        truths.add_image(truth.image_id, "")
        for label, rle, iscrowd in zip(truth.labels.tolist(), truth.rles, truth.iscrowd, strict=True):
            (truths.add_ignore_region if iscrowd else truths.add_ground_truth)(truth.image_id, label, mask=rle)
        rows = zip(prediction.labels.tolist(), prediction.scores.tolist(), prediction.rles, strict=True)
        for label, score, rle in rows:
            found.add_detection(truth.image_id, label, score, mask=rle)
    tide = tidecv.TIDE(mode=tidecv.TIDE.MASK)
    run = tide.evaluate(truths, found)
    costs = [*tide.get_main_errors()["found"].values(), *tide.get_special_errors()["found"].values()]
    return [*(value / 100 for value in (run.ap, *costs)), *run.count_errors().values()]


def our_boundary_ap(pairs: Pairs, _: int) -> Numbers:
    records = [with_boundaries(ImageRecord.build(*pair), *pair) for pair in pairs]
    numbers = evaluate_records(records, FEW)
    return [numbers[f"segm_{name}"] for name in NUMBERS]


def our_numbers_of_all(pairs: Pairs, _: int) -> Numbers:
    numbers = evaluate_records([ImageRecord.build(*pair) for pair in pairs], FEW)
    return [numbers[f"{kind}_map_all"] for kind in ("segm", "bbox")]


def evaluated(module: Any, pairs: Pairs, kind: str, limits: Sequence[int] = (1, 10, 100)) -> Any:
    """The evaluation of a tool that has pycocotools' interface."""
    dataset = coco_dataset(pairs) | {"categories": FEW.to_coco()}
    for image in dataset["images"]:
        image["height"], image["width"] = pairs[0][1].image_size
    results = coco_results(pairs, "bbox" if kind == "bbox" else "segm")
    for entry in (*dataset["annotations"], *results):
        if "segmentation" in entry:
            entry["segmentation"] = as_text(entry["segmentation"])
    with contextlib.redirect_stdout(io.StringIO()):
        truth = getattr(module, "COCO", COCO)()
        truth.dataset = dataset
        truth.createIndex()
        evaluator = module.COCOeval_faster if hasattr(module, "COCOeval_faster") else module.COCOeval
        found = truth.loadRes(results)
        for entry in found.dataset["annotations"]:
            entry["bbox"] = [float(number) for number in entry["bbox"]]  # no array: vernier refuses
        evaluation = evaluator(truth, found, kind)
        evaluation.params.maxDets = list(limits)
        for step in ("evaluate", "accumulate", "summarize"):
            getattr(evaluation, step)()
    return evaluation


def as_text(rle: Rle) -> dict[str, object]:
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def boundary_ap_of(module: ModuleType, pairs: Pairs, _: int) -> Numbers:
    stats = evaluated(module, pairs, "boundary").stats
    return [float(value) if value > -1 else np.nan for value in stats[: len(NUMBERS)]]


def numbers_of_all(_: ModuleType, pairs: Pairs, __: int) -> Numbers:
    tool = Namespace(COCOeval=COCOeval)
    precisions = [
        evaluated(tool, pairs, kind, (1, 10, 100, 1000)).eval["precision"][..., 0, 3] for kind in ("segm", "bbox")
    ]
    return [float(np.mean(precision[precision > -1])) for precision in precisions]


def our_calibration(pairs: Pairs, _: int) -> Numbers:
    scored = _scored(pairs)
    return [expected_error(scored.scores, scored.is_right)]


def calibration_of_hotcoco(hotcoco: ModuleType, pairs: Pairs, _: int) -> Numbers:
    scored = _scored(pairs)
    return [float(hotcoco.metrics.calibration_error(scored.scores, scored.is_right, 10)[0])]


def _scored(pairs: Pairs) -> Scored:
    pool = details_of(pairs)
    return Scored.of(pool, assign(pool))


REFERENCES: dict[str, tuple[str, Callable[[Pairs, int], Numbers], Reference]] = {
    "error types, 9 numbers and 6 counts": ("tidecv", our_types, types_of_tidecv),
    "boundary AP, 12 numbers": ("faster_coco_eval", our_boundary_ap, boundary_ap_of),
    "boundary AP, 12 numbers again": ("vernier", our_boundary_ap, boundary_ap_of),
    "AP of all detections": ("pycocotools", our_numbers_of_all, numbers_of_all),
    "expected calibration error": ("hotcoco", our_calibration, calibration_of_hotcoco),
}


def equality(num_inputs: int) -> Iterator[Row]:
    for what, (package, ours, theirs) in REFERENCES.items():
        try:
            module = import_module(package)
        except ImportError:
            yield figure(what, "not compared", against=f"{package} is not installed")
            continue
        worst = 0.0
        for seed in range(num_inputs):
            pairs, limit = made(seed), 3 * (seed % 2)
            worst = max(worst, distance(ours(pairs, limit), theirs(module, pairs, limit)))
        name = f"{package} {version(package.replace('_', '-'))}"
        yield figure(what, f"{num_inputs} inputs", "1e-9", name, f"within {worst:.0e}" if worst else "equal")


def distance(ours: Numbers, theirs: Numbers) -> float:
    """The largest difference; infinite where only one of two numbers is defined."""
    differences = np.abs(np.subtract(ours, theirs))
    return float(np.where(np.isnan(ours) & np.isnan(theirs), 0, np.nan_to_num(differences, nan=np.inf)).max())


def speed(num_images: int, repeats: int) -> Iterator[Row]:
    try:
        hotcoco = import_module("hotcoco")
    except ImportError:
        yield figure("5,000 images", "not compared", against="hotcoco is not installed")
        return
    pairs = make_images(num_images)
    gc.collect()
    gc.freeze()
    own, theirs, with_dictionaries, difference = [], [], [], 0.0
    for _ in range(repeats):
        seconds, numbers = cpu_seconds(lambda: run_ours(pairs)[0])
        making, inputs = cpu_seconds(lambda: (coco_dataset(pairs), *(coco_results(pairs, k) for k in ("bbox", "segm"))))
        evaluating, values = cpu_seconds(partial(run_hotcoco, hotcoco, *inputs))
        own.append(seconds)
        theirs.append(evaluating)
        with_dictionaries.append(making + evaluating)
        difference = max(difference, largest_difference(numbers, values))
    agree = f"24 numbers within {difference:.0e}" if difference else "24 numbers equal"
    what = f"{num_images:,} images x 100 detections, boxes and masks"
    yield compared(what, f"hotcoco {version('hotcoco')}, from its dictionaries", own, theirs, "s CPU", "1x", agree)
    yield compared(
        what, f"hotcoco {version('hotcoco')}, dictionaries made", own, with_dictionaries, "s CPU", "1x", agree
    )


def run_hotcoco(hotcoco: Any, dataset: dict[str, Any], *results: list[dict[str, Any]]) -> dict[str, float]:
    values: dict[str, float] = {}
    truth = hotcoco.COCO(dataset)
    with contextlib.redirect_stdout(io.StringIO()):
        for kind, of_kind in zip(("bbox", "segm"), results, strict=True):
            evaluation = hotcoco.COCOeval(truth, truth.load_res(of_kind), kind)
            evaluation.run()
            values |= {f"{kind}_{name}": float(value) for name, value in zip(NUMBERS, evaluation.stats, strict=True)}
    return values


def cpu_seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def measure(arguments: Namespace) -> Iterator[Row]:
    yield from equality(50 if arguments.quick else 300)
    yield from speed(500 if arguments.quick else 5000, 1 if arguments.quick else min(arguments.repeats, 3))


if __name__ == "__main__":
    main(__doc__, measure)
