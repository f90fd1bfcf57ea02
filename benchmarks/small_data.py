"""Claim: on few images, weights of ImageNet beat a start from nothing at equal processor time, or do not: the board.

    python benchmarks/small_data.py run --data ../shared/data --weights imagenet --out board.jsonl
    python benchmarks/small_data.py run --data ../shared/data --sets nuclei fruits --images 12 40 --out board.jsonl
    python benchmarks/small_data.py table board.jsonl

Each training is one line of the file, and one that is there is not run again: the same command resumes. All starts get
the same training images (the first 12, 40 or all of one fixed order), the same test images, the same augmentation and
the same CPU seconds in one thread, loading and augmenting included. Processor time and not that of a clock, so that
what else the machine does decides nothing. The learning rate falls with the seconds that are spent. No validation: the
weights of the end are tested. AP is that of masks, with its interval over test images.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Callable
from itertools import count, product

import torch
from processes import apart, forget_peak, memory_mb
from resumable import add_line, commands
from small_data_table import Training, differences, read, table
from torch import nn
from torch.optim import Optimizer

from instseg.app.build_data import build_datamodule, build_dataset
from instseg.app.build_model import build_model
from instseg.app.build_module import build_optimizer
from instseg.app.compose import compose
from instseg.app.config import RunConfig
from instseg.app.read_config import read_config
from instseg.core.segmenter import InstanceSegmenter, as_module
from instseg.data.datamodule import InstanceDataModule
from instseg.evaluation.bootstrap import ap_interval
from instseg.evaluation.metrics import CocoMaskMetrics

ALL = "all"
WARM_UP = 0.1  # of the seconds
FINAL_FACTOR = 0.01  # of the learning rate


@dataclasses.dataclass(frozen=True)
class Images:
    """A data set of the board, at one size."""

    overrides: tuple[str, ...]  # {data} is the folder of the sets
    test: str = "test"  # the split that is measured on


SIZE = ("augmentation.min_size=224", "augmentation.max_size=288")
SETS = {
    "nuclei": Images(("dataset=coco", "dataset.root={data}/nuclei_coco", *SIZE)),
    "fruits": Images(("dataset=labelme", "dataset.root={data}/labelme_fruits", *SIZE)),
    "car_damage": Images(("dataset=coco", "dataset.root={data}/car_damage", *SIZE)),
    "coco_tiny": Images(
        ("dataset=coco", "dataset.root={data}/coco_tiny", "dataset.categories=[cake,car,dog,person]", *SIZE), "val"
    ),
    "shapes": Images(("dataset=shapes", "dataset.num_images={train: 200, val: 2, test: 60}")),
}
STARTS = {
    "small, scratch": ("model=small",),
    "mobilenet, scratch": ("model=mobilenet_fpn", "model.weights=none"),
    "mobilenet, ImageNet": ("model=mobilenet_fpn", "model.weights={weights}"),
}
FIXED = ("trainer=cpu", "num_workers=0", "batch_size=2", "report=false", "logger=csv")


def composed(arguments: argparse.Namespace, dataset: str, start: str, seed: int) -> RunConfig:
    places = {"{data}": str(arguments.data.absolute()), "{weights}": str(arguments.weights)}
    overrides = [
        *SETS[dataset].overrides,
        *STARTS[start],
        *FIXED,
        f"seed={seed}",
        f"cache_dir={arguments.cache}",
        "run_dir=none",
    ]
    for place, value in places.items():
        overrides = [override.replace(place, value) for override in overrides]
    splits = "dataset.seed=0"  # the same split and order of images for all trainings
    return read_config(compose("train", [*overrides, splits, *arguments.overrides]), RunConfig)


def load_data(config: RunConfig, images: str) -> InstanceDataModule:
    """The first of the training images, or all, in an order that does not depend on the training's seed."""
    prepared = build_dataset(config)
    if images != ALL:
        whole = prepared.indices["train"]
        fraction = int(images) / len(whole)
        prepared = prepared.with_fraction_of_training(fraction, seed=0) if fraction < 1 else prepared
    return build_datamodule(config, prepared)


def factor(spent: float) -> float:
    """Multiple of the learning rate, of the fraction of the seconds that are spent."""
    warm = min(1.0, 0.01 + spent / WARM_UP)
    return warm * (FINAL_FACTOR + (1 - FINAL_FACTOR) * (1 + math.cos(math.pi * min(1.0, spent))) / 2)


def train(
    network: InstanceSegmenter, data: InstanceDataModule, optimizer: Optimizer, spent_after: Callable[[int], float]
) -> int:
    """Train until all is spent; the number of steps.

    Args:
        network: is trained.
        data: with the training images.
        optimizer: of the network.
        spent_after: takes the number of steps made; the fraction that is spent of what the training is given.
    """
    rates, steps = [group["lr"] for group in optimizer.param_groups], 0
    module = as_module(network).train()
    for epoch in count():
        data.load_state_dict({"epoch": epoch, "samples": 0})
        for batch in data.train_dataloader():
            spent = spent_after(steps)
            if spent >= 1:
                return steps
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor(spent)
            torch.autograd.backward(torch.stack(list(network.losses(batch).values())).sum())
            nn.utils.clip_grad_norm_(module.parameters(), 10.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            steps += 1
    raise AssertionError("epochs do not end")


def test(network: InstanceSegmenter, data: InstanceDataModule, split: str) -> tuple[dict[str, float], int]:
    """AP with its interval, and the number of images."""
    as_module(network).eval()
    metric = CocoMaskMetrics(network.categories)
    with torch.inference_mode():
        for batch in data.test_dataloader() if split == "test" else data.val_dataloader():
            metric.update(network.predict(batch), batch.ground_truth)
    values = {name: float(value) for name, value in metric.compute().items()}
    low, high = ap_interval(metric.measured, network.categories, "segm_map")
    return {"ap": values["segm_map"], "ap_50": values["segm_map_50"], "low": low, "high": high}, len(metric.measured)


def run(arguments: argparse.Namespace, dataset: str, images: str, start: str, seed: int) -> Training:
    torch.set_num_threads(1)
    began = time.perf_counter()
    config = composed(arguments, dataset, start, seed)
    data = load_data(config, images)
    torch.manual_seed(seed)
    network = build_model(config.model, data.categories)
    optimizer = build_optimizer(config.optimizer)(as_module(network), config.batch_size)
    forget_peak()
    started = time.process_time()
    steps = train(network, data, optimizer, lambda _: (time.process_time() - started) / arguments.cpu_seconds)
    peak = memory_mb("VmHWM")
    values, num_test = test(network, data, SETS[dataset].test)
    return Training(
        dataset=dataset, images=images, start=start, seed=seed, budget_cpu_s=arguments.cpu_seconds, steps=steps,
        num_images=len(data.train_dataset()), num_test_images=num_test, seconds=round(time.perf_counter() - began),
        peak_mb=round(peak), **{name: round(value, 4) for name, value in values.items()},
    )  # fmt: skip


def num_training_images(arguments: argparse.Namespace, dataset: str) -> int:
    return len(build_dataset(composed(arguments, dataset, next(iter(STARTS)), 0)).indices["train"])


def run_all(arguments: argparse.Namespace) -> None:
    """Run what the file does not hold, all starts of one seed and set after each other."""
    done = {training.key for training in read(arguments.out)}
    for seed, images, dataset, start in product(arguments.seeds, arguments.images, arguments.sets, arguments.starts):
        key = (dataset, images, start, seed, arguments.cpu_seconds)
        if key in done or (images != ALL and int(images) > apart(num_training_images, arguments, dataset)):
            continue
        training = apart(run, arguments, dataset, images, start, seed)
        add_line(arguments.out, training)
        print(training, flush=True)


def options() -> argparse.ArgumentParser:
    parser, runs = commands(__doc__, "indices of the sets")
    runs.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    runs.add_argument("--images", nargs="+", default=["12", "40", ALL])
    runs.add_argument("--starts", nargs="+", default=list(STARTS), choices=STARTS)
    runs.add_argument("--cpu-seconds", type=float, default=300, help="of each training, in one thread")
    return parser


if __name__ == "__main__":
    given = options().parse_args()
    if given.command == "run":
        run_all(given)
    else:
        known = read(given.file)
        print("\n".join([*table(known), "", *differences(known, next(iter(STARTS)))]))
