"""Claim: labels that lack a category on half of the images, or half of the masks, teach more when that is said.

    python benchmarks/imperfect_labels.py run --data ../shared/data --weights imagenet --out imperfect.jsonl
    python benchmarks/imperfect_labels.py run --data ../shared/data --sets shapes --steps 300 --out imperfect.jsonl
    python benchmarks/imperfect_labels.py table imperfect.jsonl

Labels of a complete set are taken away at random, by the seed:

- of half of the training images, all instances of the category that most images have. ``naive`` takes these images as
  they are; ``aware`` declares what their source has labelled (``dataset.sources.part.labels``);
- of half of the training instances, the masks. ``filled`` takes their boxes as masks, as the default does; ``dropped``
  leaves the instances out, so that they are background; ``box only`` is ``dataset.box_only=boxes``.

``complete`` has all labels. Everything else is the same: images and their order, start, number of steps, in one thread,
and val and test, which keep all labels. Each training is a line of the file, and one that is there
is not run again: the same command resumes. Differences are those of trainings with the same seed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import torch
from imperfect_labels_table import Training, differences, read, table
from processes import apart
from resumable import add_line, commands
from small_data import FIXED, train

from instseg.app.build_data import build_datamodule, build_dataset
from instseg.app.build_model import build_model
from instseg.app.build_module import build_optimizer
from instseg.app.compose import compose
from instseg.app.config import RunConfig
from instseg.app.read_config import read_config
from instseg.core.segmenter import InstanceSegmenter, as_module
from instseg.data.datamodule import InstanceDataModule
from instseg.data.prepared import PreparedDataset
from instseg.evaluation.metrics import CocoMaskMetrics

SHAPES = ("dataset=shapes", "dataset.num_images={train: 600, val: 2, test: 200}")
CAR_DAMAGE = ("dataset=coco", "dataset.root={data}/car_damage")
SETS = {"shapes": SHAPES, "car_damage": CAR_DAMAGE}
SETTINGS = {
    "shapes": ("model=small", "augmentation.min_size=128", "augmentation.max_size=160", "batch_size=4"),
    "car_damage": (
        *("model=mobilenet_fpn", "model.weights={weights}", "augmentation.min_size=224", "augmentation.max_size=288"),
        "batch_size=2",
    ),
}
STEPS = {"shapes": 800, "car_damage": 500}
NAIVE, AWARE = "category, naive", "category, aware"
FILLED, DROPPED, BOX_ONLY = "masks, filled", "masks, dropped", "masks, box only"
COMPLETE = "complete"
LABELS = (COMPLETE, NAIVE, AWARE, FILLED, DROPPED, BOX_ONLY)
LOST_FRACTION = 0.5
Coco = dict[str, list[dict[str, object]]]


def composed(arguments: argparse.Namespace, dataset: str, overrides: tuple[str, ...], seed: int) -> RunConfig:
    given = [*overrides, *SETTINGS[dataset], *FIXED[:2], *FIXED[3:], f"seed={seed}", "dataset.seed=0", "run_dir=none"]
    given += [f"cache_dir={arguments.cache}", *arguments.overrides]
    places = {"{data}": str(arguments.data.absolute()), "{weights}": str(arguments.weights)}
    for place, value in places.items():
        given = [override.replace(place, value) for override in given]
    return read_config(compose("train", given), RunConfig)


def read_json(file: Path) -> Coco:
    labels: Coco = json.loads(file.read_text())
    return labels


def without_category(coco: Coco, category_id: int) -> Coco:
    return {**coco, "annotations": [a for a in coco["annotations"] if a["category_id"] != category_id]}


def without_masks(coco: Coco, seed: int, dropped: bool) -> Coco:
    """Half of the instances as boxes, or left out; the same half for both."""
    random = np.random.default_rng([seed, 1])
    lost = {a["id"] for a in coco["annotations"] if random.random() < LOST_FRACTION}
    kept = [a for a in coco["annotations"] if a["id"] not in lost or not dropped]
    return {**coco, "annotations": [{**a, "segmentation": []} if a["id"] in lost else a for a in kept]}


def halves(coco: Coco, seed: int) -> tuple[Coco, Coco]:
    """The labels of two random halves of the images."""
    random = np.random.default_rng([seed, 0])
    ids = [image["id"] for image in coco["images"]]
    first = {ids[i] for i in random.permutation(len(ids))[: len(ids) // 2]}

    def part(is_first: bool) -> Coco:
        images = [image for image in coco["images"] if (image["id"] in first) == is_first]
        return {
            **coco,
            "images": images,
            "annotations": [a for a in coco["annotations"] if (a["image_id"] in first) == is_first],
        }

    return part(True), part(False)


def most_frequent(whole: PreparedDataset) -> str:
    """The category that most training images have."""
    train_index = whole.indices["train"]
    return train_index.categories.names[int(train_index.has_category().sum(axis=0).argmax())]


def with_boxes(coco: Coco, whole: PreparedDataset, split: str) -> Coco:
    """Every annotation with the box that the index has."""
    index = whole.indices[split]
    boxes = dict(zip(index.column("annotation_ids").tolist(), index.column("boxes").tolist(), strict=True))
    known = [a for a in coco["annotations"] if a["id"] in boxes]
    xywh = {key: [x1, y1, x2 - x1, y2 - y1] for key, (x1, y1, x2, y2) in boxes.items()}
    return {**coco, "annotations": [{**a, "bbox": xywh[int(str(a["id"]))]} for a in known]}


def degraded(whole: PreparedDataset, labels: str, seed: int, folder: Path) -> tuple[str, ...]:
    """Write the labels as two sources; the overrides that train on them."""
    cocos = {split: with_boxes(read_json(whole.folder / f"{split}.json"), whole, split) for split in whole.indices}
    lost = most_frequent(whole)
    if labels in (FILLED, DROPPED, BOX_ONLY):
        cocos["train"] = without_masks(cocos["train"], seed, dropped=labels == DROPPED)
    first, second = halves(cocos["train"], seed)
    if labels in (NAIVE, AWARE):
        (category_id,) = [int(str(c["id"])) for c in second["categories"] if c["name"] == lost]
        second = without_category(second, category_id)
    splits = {"whole": {"train": first, "val": cocos["val"], "test": cocos["test"]}, "part": {"train": second}}
    sources = {name: _source(folder / name, of_source, whole) for name, of_source in splits.items()}
    if labels == AWARE:
        declared = [name for name in whole.categories.names if name != lost]
        sources["part"] = f"{sources['part'][:-1]}, labels: {json.dumps(declared, ensure_ascii=False)}}}"
    said = ", ".join(f"{name}: {source}" for name, source in sources.items())
    box_only = "boxes" if labels == BOX_ONLY else "filled"
    root = f"dataset.root={folder.absolute()}"
    return "dataset=multi", root, f"dataset.sources={{{said}}}", f"dataset.box_only={box_only}"


def _source(folder: Path, splits: Mapping[str, Coco], whole: PreparedDataset) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    said = []
    for split, coco in splits.items():
        file = (folder / f"{split}.json").absolute()
        file.write_text(json.dumps(coco))
        said.append(f'{split}: {{annotations: "{file}", images: "{whole.indices[split].image_root}"}}')
    return f'{{root: "{folder.absolute()}", format: coco, splits: {{{", ".join(said)}}}}}'


def measure(network: InstanceSegmenter, data: InstanceDataModule) -> dict[str, float]:
    as_module(network).eval()
    metric = CocoMaskMetrics(network.categories)
    with torch.inference_mode():
        for batch in data.test_dataloader():
            metric.update(network.predict(batch), batch.ground_truth)
    return {name: float(value) for name, value in metric.compute().items()}


def steps_of(arguments: argparse.Namespace, dataset: str) -> int:
    return arguments.steps or STEPS[dataset]


def run(arguments: argparse.Namespace, dataset: str, labels: str, seed: int) -> Training:
    torch.set_num_threads(1)
    whole = build_dataset(composed(arguments, dataset, SETS[dataset], seed))
    folder = arguments.cache / "imperfect_labels" / f"{dataset}_{seed}" / labels.replace(", ", "_").replace(" ", "_")
    config = composed(arguments, dataset, degraded(whole, labels, seed, folder), seed)
    data = build_datamodule(config, build_dataset(config))
    torch.manual_seed(seed)
    network = build_model(config.model, data.categories)
    optimizer = build_optimizer(config.optimizer)(as_module(network), config.batch_size)
    began, steps = time.process_time(), steps_of(arguments, dataset)
    train(network, data, optimizer, lambda made: made / steps)
    cpu_s = round(time.process_time() - began)
    values, lost = measure(network, data), most_frequent(whole)
    return Training(
        dataset=dataset, labels=labels, seed=seed, steps=steps, lost=lost,
        num_images=len(data.train_dataset()), num_test_images=int(values["num_images"]),
        cpu_s=cpu_s, ap=round(values["segm_map"], 4),
        box_ap=round(values["bbox_map"], 4), ap_lost=round(values[f"segm_map/{lost}"], 4),
    )  # fmt: skip


def run_all(arguments: argparse.Namespace) -> None:
    """Run what the file does not hold, all labels of one seed and set after each other."""
    done = {training.key for training in read(arguments.out)}
    for seed, dataset, labels in product(arguments.seeds, arguments.sets, arguments.labels):
        if (dataset, labels, seed, steps_of(arguments, dataset)) in done:
            continue
        training = apart(run, arguments, dataset, labels, seed)
        add_line(arguments.out, training)
        print(training, flush=True)


def options() -> argparse.ArgumentParser:
    parser, runs = commands(__doc__, "indices and degraded labels")
    runs.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    runs.add_argument("--labels", nargs="+", default=list(LABELS), choices=LABELS)
    runs.add_argument("--steps", type=int, help=f"of each training, in one thread; by default {STEPS}")
    return parser


if __name__ == "__main__":
    given = options().parse_args()
    if given.command == "run":
        run_all(given)
    else:
        known = read(given.file)
        print("\n".join([*table(known), "", *differences(known)]))
