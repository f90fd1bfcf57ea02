"""Claim: a COCO-sized dataset is indexed once, in memory far below its json's, and then opened in no time by all.

    python benchmarks/index.py

A made-up COCO 2017 folder (118,287 + 5,000 images as links to a few JPEGs, 860,001 + 36,352 instances of about 50
numbers each, one in a hundred a crowd; 500 MB of json) and its halves are prepared as ``dataset=coco`` prepares
them, every image's header included, and opened again. pycocotools' ``COCO(json)``, which every start pays, is the
other side. Each figure comes from a process of its own, forked from this one, so that none profits from what another
has read. Memory of a worker is what a forked DataLoader worker that has read the instances of some thousand images
has to itself beyond one of a process without either side. All of them collect their garbage before they look, which
touches, and so copies, every object they have inherited. Pages of mapped files are the system's and shared.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from processes import apart, cost, private_mb
from pycocotools.coco import COCO
from torch.utils.data import DataLoader, Dataset

from comparing import Row, compared, figure, main
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.index.columns import Index
from instseg.data.prepared import PreparedDataset
from instseg.data.sources import folder

NUM_PHOTOS, NUM_INSTANCES = {"train": 118_287, "val": 5_000}, {"train": 860_001, "val": 36_352}
WIDTH, HEIGHT, NUM_CATEGORIES, NUM_SHAPES = 640, 480, 80, 4000
LINKS_A_FILE = 10_000  # file systems allow some ten thousand
NUM_READ, NUM_CHECKED = 5_000, 2_000


def made_shapes(random: np.random.Generator) -> list[str]:
    """The json of annotations, but for their ids."""
    return [
        _crowd(random) if number % 100 == 0 else _polygons(random, 1 + (number % 9 == 0))
        for number in range(NUM_SHAPES)
    ]


def _polygons(random: np.random.Generator, num_parts: int) -> str:
    parts = []
    for _ in range(num_parts):
        angles = np.sort(random.random(max(4, int(random.gamma(3, 8))))) * 2 * np.pi
        radii = random.uniform(10, 95, (len(angles), 1))
        centre = random.uniform((100, 100), (WIDTH - 100, HEIGHT - 100))
        parts.append((centre + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)).round(2))
    low, high = np.concatenate(parts).min(axis=0), np.concatenate(parts).max(axis=0)
    box = [*low.tolist(), *(high - low).round(2).tolist()]
    return _shape([part.reshape(-1).tolist() for part in parts], box, round(box[2] * box[3] * 0.7, 4), 0)


def _crowd(random: np.random.Generator) -> str:
    runs = random.integers(1, 900, 600)
    runs = runs[np.cumsum(runs) < WIDTH * HEIGHT]
    counts = [*runs.tolist(), WIDTH * HEIGHT - int(runs.sum())]
    return _shape({"counts": counts, "size": [HEIGHT, WIDTH]}, [0, 0, WIDTH, HEIGHT], sum(counts[1::2]), 1)


def _shape(segmentation: Any, box: list[float], area: float, iscrowd: int) -> str:
    return json.dumps({"segmentation": segmentation, "area": area, "iscrowd": iscrowd, "bbox": box})[1:-1]


def make_coco(root: Path, share: float) -> None:
    random = np.random.default_rng(0)
    shapes = made_shapes(random)
    categories = [{"id": number, "name": f"thing {number}"} for number in range(1, NUM_CATEGORIES + 1)]
    (root / "annotations").mkdir(parents=True)
    for split in NUM_PHOTOS:
        names = write_photos(root / f"{split}2017", round(NUM_PHOTOS[split] * share))
        images = [
            {"id": i, "file_name": n, "height": HEIGHT, "width": WIDTH, "license": 1} for i, n in enumerate(names)
        ]
        with annotation_file(root, split).open("w") as file:
            file.write(f'{{"images": {json.dumps(images)}, "categories": {json.dumps(categories)}, "annotations": [')
            for number, image in enumerate(
                random.integers(0, len(names), round(NUM_INSTANCES[split] * share)).tolist()
            ):
                ids = f'"id": {number}, "image_id": {image}, "category_id": {number % NUM_CATEGORIES + 1}'
                file.write(f"{', ' if number else ''}{{{shapes[number % NUM_SHAPES]}, {ids}}}")
            file.write("]}")


def annotation_file(root: Path, split: str) -> Path:
    return root / f"annotations/instances_{split}2017.json"


def write_photos(folder: Path, number: int) -> list[str]:
    folder.mkdir()
    names = [f"{i:012d}.jpg" for i in range(number)]
    for position, name in enumerate(names):
        if position % LINKS_A_FILE == 0:
            Image.linear_gradient("L").resize((WIDTH, HEIGHT)).convert("RGB").save(folder / name)
        else:
            os.link(folder / names[position - position % LINKS_A_FILE], folder / name)
    return names


# ---- both sides, each in a process of its own


def prepare(root: Path) -> PreparedDataset:
    return folder(name="coco", reader=CocoReader, root=str(root), cache_dir=str(root / "cache"))


def load(root: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(annotation_file(root, "train"))


# ---- a worker


class Reading(Dataset[float]):
    """Its one item: read these images, and see how much memory the process has to itself by then, in MB."""

    def __init__(self, read: Callable[[int], object], image_ids: list[int]) -> None:
        self.read, self.image_ids = read, image_ids

    def __getitem__(self, position: int) -> float:
        for image_id in self.image_ids:
            self.read(image_id)
        gc.collect()
        return private_mb(os.getpid())


def worker_mb(read: Callable[[int], object], num_images: int) -> float:
    ids = np.random.default_rng(1).integers(0, num_images, NUM_READ).tolist()
    loader = DataLoader(Reading(read, ids), sampler=[0], num_workers=1, batch_size=None, multiprocessing_context="fork")
    return float(next(iter(loader)))


def index_worker_mb(root: Path) -> float:
    index = prepare(root).indices["train"]
    os.sync()  # pages of files that are still to be written count as private to the only process that maps them
    return worker_mb(lambda i: (index.instances(i), index.ground_truth(i)), len(index))


def coco_worker_mb(root: Path) -> float:
    coco = load(root)
    return worker_mb(lambda i: [coco.annToRLE(entry) for entry in coco.loadAnns(coco.getAnnIds(i))], len(coco.imgs))


# ---- agreement


def agreement(root: Path) -> str:
    """SystemExit unless both know the same images and, of some, the very same masks, areas, categories and crowds."""
    index, coco = prepare(root).indices["train"], load(root)
    ids = [index.image_id(i) for i in range(len(index))]
    if ids != list(coco.imgs):
        raise SystemExit("the images differ")
    checked = np.random.default_rng(2).integers(0, len(ids), NUM_CHECKED).tolist()
    for i in checked:
        ours, theirs = in_index(index, i), [in_coco(coco, entry) for entry in coco.imgToAnns[ids[i]]]
        if ours != theirs:
            raise SystemExit(f"image {ids[i]}: {ours} and {theirs}")
    return f"masks, areas, categories of {len(checked)} images equal"


def in_index(index: Index, position: int) -> list[tuple[Any, ...]]:
    truth = index.ground_truth(position)
    counts = [rle["counts"] for rle in truth.rles]
    return list(zip(counts, truth.areas.tolist(), truth.labels.tolist(), truth.iscrowd.tolist(), strict=True))


def in_coco(coco: COCO, entry: dict[str, Any]) -> tuple[Any, ...]:
    return coco.annToRLE(entry)["counts"], entry["area"], entry["category_id"], entry["iscrowd"]


def measure(arguments: Namespace) -> Iterator[Row]:
    scratch = Path(tempfile.mkdtemp())
    shares = [share / 8 if arguments.quick else share for share in (1 / 8, 1 / 4, 1 / 2, 1)]
    try:
        yield from _measured_in(scratch, shares, min(arguments.repeats, 3))
    finally:
        shutil.rmtree(scratch)


def _measured_in(scratch: Path, shares: list[float], repeats: int) -> Iterator[Row]:
    built: dict[int, tuple[float, float]] = {}
    for share in shares:
        root, num_instances = scratch / f"{share:g}", round(NUM_INSTANCES["train"] * share)
        apart(make_coco, root, share)
        built[num_instances] = apart(cost, partial(prepare, root))
    opened, loaded = zip(
        *((apart(cost, partial(prepare, root)), apart(cost, partial(load, root))) for _ in range(repeats)), strict=True
    )
    (opened_seconds, opened_mb), (loaded_seconds, loaded_mb) = (zip(*side, strict=True) for side in (opened, loaded))
    coco, agree = "pycocotools COCO()", apart(agreement, root)
    json_mb = sum(annotation_file(root, split).stat().st_size for split in NUM_PHOTOS) / 2**20
    what = f"{NUM_PHOTOS['train'] * share:.0f} images, {num_instances} instances, {json_mb:.0f} MB of json"
    yield compared(f"open again: {what}", coco, opened_seconds, loaded_seconds, "s", "< 0.5 s", agree)
    yield compared("memory of opening again", coco, opened_mb, loaded_mb, "MB")
    seconds, mb = built[num_instances]
    yield compared("memory of the first build", coco, [mb], loaded_mb[:1], "MB", "bounded")
    yield compared("first build, which reads every image's header", coco, [seconds], loaded_seconds[:1], "s")
    for number, (seconds, mb) in built.items():
        each = f"{seconds / number * 1e6:.0f} us, {mb / number * 2**20:.0f} bytes"
        yield figure(f"first build of {number} instances, for each", each, "linear")
    idle_mb = apart(worker_mb, abs, NUM_READ)
    ours, theirs = (apart(side, root) - idle_mb for side in (index_worker_mb, coco_worker_mb))
    yield compared(f"private memory of a worker, {NUM_READ} images read", coco, [ours], [theirs], "MB", "< 20 MB")


if __name__ == "__main__":
    main(__doc__, measure)
