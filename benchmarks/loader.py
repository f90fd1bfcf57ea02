"""Claim: an image with 40 polygons costs the loader a tenth of what one bitmap each costs, and twice the image alone.

    python benchmarks/loader.py

Made images and labels, decoded, resized to 800 px, mirrored and cropped (``augmentation=flip_crop``) and turned into
targets on one core, in three ways, alternately and with the same random numbers:

- ours: ``InstanceDataset`` and ``collate``;
- one bitmap each, the usual way: OpenCV decodes, annToMask of pycocotools draws each instance at the image's size,
  albumentations moves all bitmaps, masks_to_boxes of torchvision finds the boxes. It ends with tensors that no batch
  holds yet. As others take the labelled boxes instead, it is timed without the last step as well ("boxes given");
- image alone: decoded and moved in the same way without any instance, the floor of both.

Every instance has a label of its own, by which results are compared: boxes, and the box mask at every pixel.
Then: the whole ``DataLoader``, bytes and memory of a batch, and how the time of a sample grows.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from random import Random

import cv2
import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from made_photos import Kind, World, make_world
from numpy.typing import NDArray
from processes import apart, forget_peak, memory_mb
from torch import Tensor
from torchvision.ops import masks_to_boxes

from comparing import Row, alternately, compared, figure, main
from instseg.app.conf_folder import CONFIG_DIR
from instseg.core.types import Batch, ImageSize, Target
from instseg.data.datamodule import InstanceDataModule
from instseg.data.dataset import InstanceDataset, collate
from instseg.data.reading.images import read_image
from instseg.data.samplers import SampleKey
from instseg.data.transforms.augmentation import Augmentation

# isort: split
import albumentations as A  # after instseg, which keeps it from asking the network for a newer version

MIN_SIZE, MAX_SIZE, SEED = 800, 1333, 0
PHOTO_SIZES: tuple[ImageSize, ...] = ((480, 640), (1024, 1024))
KINDS: tuple[Kind, ...] = ("polygons", "bitmaps", "overlapping bitmaps")
GOALS = {40: "10x or more", 60: "20x or more"}
MIN_IOU, MAX_BOX_ERROR_PX = 0.93, 4.0  # mean of the masks, most of the boxes; 1 px of an image is 1.67 px here


@cache
def augmentation(name: str = "flip_crop") -> Augmentation:
    """A group of ``conf/`` as it is composed for training, but that keeps instances of which little is visible."""
    changes = [f"augmentation.{key}" for key in (f"min_size={MIN_SIZE}", f"max_size={MAX_SIZE}", "min_visibility=0")]
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        config = compose("train", [f"augmentation={name}", *changes])
    made: Augmentation = instantiate(config.augmentation, _convert_="all")
    return made


# ---- the three ways


def ours(dataset: InstanceDataset, position: int) -> Batch:
    return collate([dataset[SampleKey(0, position)]])


def usual(world: World, pipeline: A.Compose, find_boxes: bool, position: int) -> tuple[Tensor, dict[str, Tensor]]:
    image = cv2.imread(str(world.index.path(position)), cv2.IMREAD_COLOR_RGB)
    annotations = world.coco.imgToAnns[world.index.image_id(position)]
    drawn = np.stack([world.coco.annToMask(annotation) for annotation in annotations])
    moved = seeded(pipeline, position)(image=image, masks=drawn)
    masks = torch.from_numpy(np.ascontiguousarray(moved["masks"]))
    labels = torch.tensor([annotation["category_id"] for annotation in annotations])
    target = {"masks": masks, "labels": labels}
    if find_boxes:
        seen = torch.from_numpy(moved["masks"].any(axis=(1, 2)))  # masks_to_boxes refuses empty masks
        target = {"masks": masks[seen], "labels": labels[seen], "boxes": masks_to_boxes(masks[seen])}
    return torch.from_numpy(np.ascontiguousarray(moved["image"])).permute(2, 0, 1), target


def photo_alone(world: World, pipeline: A.Compose, position: int) -> Tensor:
    image = augmentation().resize(read_image(world.index.path(position)))
    moved = seeded(pipeline, position)(image=image)["image"]
    return torch.from_numpy(np.ascontiguousarray(moved)).permute(2, 0, 1)


def seeded(pipeline: A.Compose, position: int) -> A.Compose:
    """With the random numbers that ours draws for this photo."""
    random = np.random.default_rng([SEED, 0, position])
    random.uniform()  # the scale
    pipeline.set_random_state(random, Random(int(random.integers(2**31))))
    return pipeline


def usual_ways(world: World) -> list[Callable[[int], tuple[Tensor, dict[str, Tensor]]]]:
    """That with and that without finding boxes."""
    height, width = augmentation().resize.output_size(world.index.image_size(0))
    pipeline = A.Compose([A.Resize(height, width), *transforms()])
    return [partial(usual, world, pipeline, find_boxes) for find_boxes in (True, False)]


def transforms() -> list[A.BasicTransform]:
    pipeline = augmentation().pipeline
    return [] if pipeline is None else list(pipeline.transforms)


def training_set(world: World) -> InstanceDataset:
    return InstanceDataset(world.index, augmentation(), training=True, seed=SEED)


# ---- do they agree?


def agreement(world: World) -> str:
    """How far the targets differ; SystemExit where rounding to the image's pixels does not explain it."""
    errors, ious = [], []
    for position in range(len(world.index)):
        batch, (image, dense) = ours(training_set(world), position), usual_ways(world)[0](position)
        if batch.image_sizes[0] != tuple(image.shape[1:]):
            raise SystemExit(f"image sizes {batch.image_sizes[0]} and {tuple(image.shape[1:])}")
        for error, share in differences(batch.targets[0], dense):
            errors.append(error)
            ious.append(share)
    error = float(np.quantile(errors, 0.95))  # a pixel that sticks out may lie between those that are sampled
    found = f"95 % of boxes within {error:.1f} px, mean mask IoU {statistics.mean(ious):.3f}"
    if error > MAX_BOX_ERROR_PX or statistics.mean(ious) < MIN_IOU:
        raise SystemExit(f"results differ: {found}")
    return found


def differences(target: Target, dense: dict[str, Tensor]) -> Iterator[tuple[float, float]]:
    """Box error in px and mask IoU of each instance. What one side alone keeps must be a sliver."""
    rows = {label: row for row, label in enumerate(dense["labels"].tolist())}
    for label in set(rows) - set(target.labels.tolist()):
        rest = dense["masks"][rows[label]]
        if min(int(rest.any(dim=0).sum()), int(rest.any(dim=1).sum())) > MAX_BOX_ERROR_PX:
            raise SystemExit(f"instance {label} is missing")
    for label, box, box_mask in zip(target.labels.tolist(), target.boxes, target.box_masks, strict=True):
        if label in rows:
            mask = dense["masks"][rows[label]].numpy() > 0
            found = pasted(box.numpy(), box_mask.numpy(), mask.shape)
            error = (box - torch.tensor([0, 0, 1, 1]) - dense["boxes"][rows[label]]).abs().max()  # theirs end inclusive
            yield float(error), float((found & mask).sum() / (found | mask).sum())


def pasted(box: NDArray[np.float32], box_mask: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W) what the box mask says at the centre of every pixel."""
    (height, width), side = size, len(box_mask)
    columns = np.floor((np.arange(width) + 0.5 - box[0]) / (box[2] - box[0]) * side).astype(int)
    rows = np.floor((np.arange(height) + 0.5 - box[1]) / (box[3] - box[1]) * side).astype(int)
    around = np.ix_(np.clip(rows, -1, side) + 1, np.clip(columns, -1, side) + 1)
    found: NDArray[np.bool_] = np.pad(box_mask, 1)[around] > 0
    return found


# ---- rows


def speed_rows(root: Path, size: ImageSize, num_instances: int, kind: Kind, repeats: int) -> Iterator[Row]:
    what = f"{size[1]}x{size[0]}, {num_instances} {kind}"
    world = make_world(root / what, size, num_instances, num_images=4, kind=kind)
    agree, positions = agreement(world), range(len(world.index))
    found, given = usual_ways(world)
    alone = partial(photo_alone, world, A.Compose(transforms()))
    ways: dict[str, Callable[[int], object]] = {
        "ours": partial(ours, training_set(world)),
        "found": found,
        "given": given,
        "alone": alone,
    }
    taken = alternately({name: partial(all_of, way, positions) for name, way in ways.items()}, repeats)
    rates = {name: [total / len(positions) for total in totals] for name, totals in taken.items()}
    yield rate_row(what, "one bitmap each", rates["ours"], rates["found"], GOALS.get(num_instances, ""), agree)
    yield rate_row(what, "same, boxes given", rates["ours"], rates["given"])
    yield rate_row(what, "image alone", rates["ours"], rates["alone"])


def all_of(way: Callable[[int], object], positions: Iterable[int]) -> None:
    for position in positions:
        way(position)


def rate_row(what: str, against: str, ours: list[float], theirs: list[float], goal: str = "", agree: str = "") -> Row:
    """A row from seconds per image that shows images per second."""
    row = compared(what, against, ours, theirs, "s", goal, agree)
    own, other = (f"{1 / statistics.median(seconds):.0f} images/s" for seconds in (ours, theirs))
    return replace(row, ours=own, against=f"{against} {other}")


def worker_rows(root: Path, seconds: float) -> Iterator[Row]:
    """What processes of its own bring the loader of the datamodule: they hand on whole batches in shared memory."""
    world = make_world(root / "workers", (480, 640), 40, num_images=48)
    rates = {}
    for num_workers in (0, 1, 2):
        module = InstanceDataModule(world.prepared, augmentation(), num_workers=num_workers, seed=SEED)
        loader = module.train_dataloader()
        list(loader)  # starts the workers
        start, num_images = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            num_images += sum(len(batch) for batch in loader)
        rates[num_workers] = num_images / (time.perf_counter() - start)
        against = f"{num_workers} x one process {rates[0]:.0f} images/s"
        if num_workers:
            yield figure(f"DataLoader, {num_workers} workers", f"{rates[num_workers]:.0f} images/s", against=against)


def batch_rows(root: Path, num_images: int) -> Iterator[Row]:
    """30 instances an image, 800x1333; both sides in processes of their own, whose peak of memory they tell."""
    world = make_world(root / "batch", (600, 1000), 30, num_images=num_images)
    (own, own_peak), (dense, dense_peak) = (apart(size_and_peak, way, world) for way in (our_batch, dense_batch))
    what = f"targets of {num_images} x 30 instances, {MIN_SIZE}x{MAX_SIZE}"
    yield compared(what, "dense masks", [own], [dense], "MB", "1 % of it")
    yield compared("making that batch: memory with images", "dense masks", [own_peak], [dense_peak], "MB")


def our_batch(world: World) -> tuple[float, object]:
    dataset = InstanceDataset(world.index, augmentation("flip"), training=True, seed=SEED)
    batch = collate([dataset[SampleKey(0, position)] for position in range(len(dataset))])
    return sum(megabytes(t.boxes, t.labels, t.box_masks) for t in batch.targets), batch


def dense_batch(world: World) -> tuple[float, object]:
    height, width = augmentation().resize.output_size(world.index.image_size(0))
    pipeline = A.Compose([A.Resize(height, width), A.HorizontalFlip()])
    samples = [usual(world, pipeline, True, position) for position in range(len(world.index))]
    return sum(megabytes(*target.values()) for _, target in samples), samples


def megabytes(*tensors: Tensor) -> float:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e6


def size_and_peak(way: Callable[[World], tuple[float, object]], world: World) -> tuple[float, float]:
    """MB of the targets, and by how many MB the resident memory rose at most."""
    forget_peak()
    before = memory_mb("VmRSS")
    targets, _batch = way(world)
    return targets, memory_mb("VmHWM") - before


def growth_rows(root: Path, repeats: int) -> Iterator[Row]:
    """Small instances, so that as many as there are find room side by side: only their number grows."""
    for kind in KINDS[:2]:
        counts = (1, 4, 16, 64, 256)
        worlds = [make_world(root / f"{kind}{n}", (1024, 1024), n, 2, kind, share=0.04) for n in counts]
        yield growth_row(f"1024x1024, {'/'.join(map(str, counts))} {kind}", "a + b n", worlds, repeats)
    sides = (256, 512, 1024, 2048)
    worlds = [make_world(root / f"s{side}", (side, side), 16, num_images=2) for side in sides]
    yield growth_row(f"16 polygons, images {'/'.join(map(str, sides))} square", "a + b pixels", worlds, repeats)


def growth_row(what: str, expected: str, worlds: list[World], repeats: int) -> Row:
    passes = {str(i): partial(all_of, partial(ours, training_set(world)), (0, 1)) for i, world in enumerate(worlds)}
    taken = [1000 * statistics.median(seconds) / 2 for seconds in alternately(passes, repeats).values()]
    return figure(what, " / ".join(f"{milliseconds:.1f}" for milliseconds in taken) + " ms", expected)


def measure(arguments: argparse.Namespace) -> Iterator[Row]:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    kinds = KINDS[:1] if arguments.quick else KINDS
    repeats = min(arguments.repeats, 2) if arguments.quick else arguments.repeats
    with tempfile.TemporaryDirectory() as folder:
        for kind, size, num_instances in itertools.product(kinds, PHOTO_SIZES, (8, 40, 60)):
            yield from speed_rows(Path(folder), size, num_instances, kind, repeats)
        yield from batch_rows(Path(folder), num_images=4 if arguments.quick else 16)
        yield from worker_rows(Path(folder), seconds=3 if arguments.quick else 8)
        if not arguments.quick:
            yield from growth_rows(Path(folder), repeats)


if __name__ == "__main__":
    main(__doc__, measure)
