"""The stages whose growth is measured, each as a function (setup, scratch folder) -> the call that is timed."""

from __future__ import annotations

import gc
import multiprocessing
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import cv2
import numpy as np
import torch
from growth_folders import Setup, folder_of
from made_detections import make_images
from processes import private_mb
from torch import Tensor

from instseg.app.memory import keep_freed_memory
from instseg.auditing.audit_options import AuditOptions
from instseg.auditing.dataset import audit_dataset
from instseg.auditing.thumbnails import illustrate
from instseg.core.categories import Categories
from instseg.core.types import BOX_MASK_SIZE, ImageSize, Target
from instseg.data.datamodule import InstanceDataModule
from instseg.data.dataset import InstanceDataset, collate
from instseg.data.formats.auto import FORMATS, reader_of
from instseg.data.prepared import PreparedDataset
from instseg.data.reading.findings import Findings
from instseg.data.samplers import SampleKey
from instseg.data.sources import folder
from instseg.data.transforms.augmentation import Augmentation
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn
from instseg.models.postprocess import detections_to_predictions

# isort: split
import albumentations as A  # after instseg, which keeps it from asking the network for a newer version

Call = Callable[[], object]
Prepare = Callable[[Setup, Path], Call]

BATCH = 4  # samples that are loaded, and images of a worker's batch
LIGHT = {"backbone": "resnet18_half", "fpn_channels": 64, "weights": "none", "norm": "gn"}
LIGHT |= {"box": {"head_channels": 256}, "mask": {"num_convs": 2, "channels": 64}}
"""A light network with as many anchors, proposals and RoIs as the large ones have."""


# ---- from labels to an index


def reading(label_format: str) -> Prepare:
    def prepare(setup: Setup, scratch: Path) -> Call:
        reader = reader_of(label_format, folder_of(setup, scratch, label_format), {}, scratch)
        gc.disable()  # as while an index is built
        return lambda: reader.read(defaultdict(Findings))

    return prepare


def building(setup: Setup, scratch: Path) -> Call:
    return lambda: prepared(setup, scratch, new=True)


def opening(setup: Setup, scratch: Path) -> Call:
    prepared(setup, scratch)
    return partial(prepared, setup, scratch)


def auditing(setup: Setup, scratch: Path) -> Call:
    dataset = prepared(setup, scratch)
    return lambda: illustrate(audit_dataset(dataset, AuditOptions(), thorough=True), dataset)


def prepared(setup: Setup, scratch: Path, new: bool = False) -> PreparedDataset:
    """Built when it is first asked for, or anew."""
    root = folder_of(setup, scratch, "coco")
    cache = mkdtemp(dir=scratch) if new else str(root.with_suffix(".cache"))
    return folder(name="made", reader=FORMATS["coco"][1], root=str(root), cache_dir=cache)


# ---- from the index to a step


def loading(setup: Setup, scratch: Path) -> Call:
    dataset, augmentation = prepared(setup, scratch), flip_and_crop(setup)
    training_set = InstanceDataset(dataset.indices["train"], augmentation, training=True, seed=0)
    return lambda: [training_set[SampleKey(0, position)] for position in range(BATCH)]


def collating(setup: Setup, scratch: Path) -> Call:
    dataset, augmentation = prepared(setup, scratch), flip_and_crop(setup)
    training_set = InstanceDataset(dataset.indices["train"], augmentation, training=True, seed=0)
    samples = [training_set[SampleKey(0, 0)]] * setup.images
    return lambda: collate(samples)


def flip_and_crop(setup: Setup) -> Augmentation:
    """Photos keep their size."""
    transforms = {"flip": A.HorizontalFlip(p=1), "crop": A.RandomCropFromBorders(*[0.1] * 4, p=1)}
    return Augmentation(setup.side, setup.side, transforms)


def in_workers(setup: Setup, _smallest: Setup, scratch: Path) -> tuple[float, float]:
    """Seconds of an epoch of loading in so many processes, and the MB that these have to themselves in all."""
    single_threaded()
    module = InstanceDataModule(
        prepared(setup, scratch), flip_and_crop(setup), batch_size=BATCH, num_workers=setup.workers
    )
    loader = module.train_dataloader()
    list(loader)  # starts the processes, which stay
    start = time.perf_counter()
    list(loader)
    seconds = time.perf_counter() - start
    return seconds, sum(private_mb(child.pid) for child in multiprocessing.active_children())


# ---- the network


def training(setup: Setup, _: Path) -> Call:
    keep_freed_memory()  # as train.py does
    model, (images, sizes) = network(setup).train(), pictures(setup)
    targets = [target(setup, seed) for seed in range(setup.images)]

    def step() -> None:
        torch.manual_seed(0)
        losses, _ = model(images, sizes, targets)
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        model.zero_grad(set_to_none=True)

    return step


def inferring(setup: Setup, _: Path) -> Call:
    """As many detections as instances, and all the way to run-length masks of images of the network's size."""
    box = {**LIGHT["box"], "detections_per_image": setup.instances, "nms_threshold": 0.9}  # type: ignore[dict-item]
    model, (images, sizes) = network(setup, box=box).eval(), pictures(setup)
    decide(model, images, sizes)

    @torch.inference_mode()
    def infer() -> list[int]:
        _, detections = model(images, sizes)
        predictions = detections_to_predictions(detections, sizes, range(len(sizes)), sizes)
        return [len(prediction) for prediction in predictions]

    return infer


def network(setup: Setup, **options: Any) -> MaskRCNN:
    torch.manual_seed(0)
    return build_mask_rcnn(setup.categories, **{**LIGHT, **options})


@torch.inference_mode()
def decide(model: MaskRCNN, images: Tensor, sizes: list[ImageSize]) -> None:
    """Let an untrained network be as sure of one category or two for each proposal as a trained one is."""
    seen: list[Tensor] = []
    predictor = model.roi_heads.box_predictor
    handle = predictor.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    model(images[:1], sizes[:1])
    handle.remove()
    weight = predictor.cls_score.weight
    rows = (seen[0] - seen[0].mean(dim=0)) @ weight.T
    weight.mul_(4 / rows.std())
    predictor.cls_score.bias.copy_(-seen[0].mean(dim=0) @ weight.T)


def pictures(setup: Setup) -> tuple[Tensor, list[ImageSize]]:
    noise = torch.rand(setup.images, 3, setup.side // 8, setup.side // 8, generator=torch.Generator().manual_seed(0))
    images = (torch.nn.functional.interpolate(noise, scale_factor=8, mode="bilinear") * 255).byte()
    return images.contiguous(memory_format=torch.channels_last), [(setup.side, setup.side)] * setup.images


def target(setup: Setup, seed: int) -> Target:
    random = np.random.default_rng(seed)
    sides = np.exp(random.uniform(np.log(8), np.log(setup.side / 2), (setup.instances, 2)))
    corners = random.uniform(0, setup.side - sides)
    boxes = torch.from_numpy(np.concatenate([corners, corners + sides], axis=1)).float()
    labels = torch.from_numpy(random.integers(1, setup.categories + 1, setup.instances))
    return Target(boxes, labels, torch.ones(setup.instances, BOX_MASK_SIZE, BOX_MASK_SIZE, dtype=torch.uint8))


# ---- evaluation


def updating(setup: Setup, _: Path) -> Call:
    metric, pairs = new_metric(setup), detections(setup)
    return lambda: metric.update(*zip(*pairs, strict=True))


def computing(setup: Setup, _: Path) -> Call:
    metric = new_metric(setup)
    metric.update(*zip(*detections(setup), strict=True))

    def compute() -> object:
        metric._computed = None  # torchmetrics would give what it has computed already
        return metric.compute()

    return compute


def new_metric(setup: Setup) -> CocoMaskMetrics:
    return CocoMaskMetrics(Categories(tuple(f"thing {i}" for i in range(setup.categories))))


def detections(setup: Setup) -> Sequence[tuple[Any, Any]]:
    """100 an image; as many true instances as asked for."""
    return make_images(setup.images, mean_instances=setup.instances, num_categories=setup.categories)


def single_threaded() -> None:
    """And quiet about more loader processes than this machine has cores."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    warnings.filterwarnings("ignore", message="This DataLoader will create")
