"""Claim: a training step does the same work in less time than detectron2's Mask R-CNN.

    python benchmarks/training_detectron2.py

Both models see the same pictures, instances and proposals, so that their heads sample and pool equally many RoIs.
detectron2's is the model zoo's configuration, with random weights on either side; its losses are no ones to compare
with, since its RoIAlign is aligned and its mask targets are drawn from polygons. Rows come only where detectron2 can be
imported; see detectron2_step.py.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence

import detectron2_step
import numpy as np
import torch
from torch import Tensor
from training import LEARNING_RATE, NUM_CATEGORIES, SGD_OPTIONS, count_flops, make_inputs, make_step

from comparing import Row, alternately, compared, figure, main
from instseg.app.memory import keep_freed_memory
from instseg.core.types import Batch, GroundTruth
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn
from instseg.training.optimizers import build_sgd

BATCH, NUM_PROPOSALS = 2, 1000
CASES = [("resnet50", 400, 10), ("resnet18", 400, 10), ("resnet50", 400, 30), ("resnet50", 800, 10)]


def make_batch(short_side: int, num_instances: int) -> tuple[Batch, detectron2_step.Polygons]:
    """The scene of training.py, its ellipses as polygons as well."""
    _, (images, sizes, targets) = make_inputs(short_side, num_instances, BATCH, "cpu")
    nothing = np.zeros(0)
    truths = [
        GroundTruth(i, size, np.zeros((0, 4)), nothing.astype(np.int64), nothing, nothing.astype(bool), [])
        for i, size in enumerate(sizes)
    ]
    polygons = [[[polygon(box)] for box in target.boxes.double().numpy()] for target in targets]
    return Batch(images, sizes, targets, truths), polygons


def polygon(box: np.ndarray) -> np.ndarray:
    """(32, 2) points of the ellipse that fills a box."""
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return np.asarray(middle + half * np.stack([np.cos(angle), np.sin(angle)], 1))


def make_proposals(batch: Batch) -> list[Tensor]:
    """Twenty around every instance, the rest anywhere: per image (``NUM_PROPOSALS``, 4)."""
    generator = torch.Generator().manual_seed(1)
    proposals = []
    for target, (height, width) in zip(batch.targets, batch.image_sizes, strict=True):
        near = target.boxes.repeat_interleave(20, 0)
        side = (near[:, 2:] - near[:, :2]).repeat(1, 2)
        near = near + (torch.rand(near.shape, generator=generator) - 0.5) * 0.3 * side
        count = NUM_PROPOSALS - len(near)
        centre = torch.rand(count, 2, generator=generator) * torch.tensor([width - 9.0, height - 9.0]) + 4.5
        half = torch.exp(torch.rand(count, 2, generator=generator) * 2.5 + 1.5)
        boxes = torch.cat([near, torch.cat([centre - half, centre + half], 1)])
        limits = torch.tensor([width, height] * 2)
        proposals.append(boxes.clamp(min=torch.zeros(4)).minimum(limits))
    return proposals


def make_ours(architecture: str, batch: Batch, proposals: Sequence[Tensor]) -> MaskRCNN:
    model = build_mask_rcnn(NUM_CATEGORIES, backbone=architecture, weights="imagenet", load=False, norm="frozen_bn")
    model.eval()
    detectron2_step.settle_norms(model, lambda: model(batch.images, batch.image_sizes))
    model.rpn.register_forward_hook(lambda _module, _inputs, found: (list(proposals), found[1]))
    model.train()
    return model


def measure(arguments: Namespace) -> Iterator[Row]:
    if not detectron2_step.is_importable():
        yield figure("training step against detectron2", "not measured: detectron2 cannot be imported")
        return
    keep_freed_memory()
    for architecture, short_side, num_instances in CASES[:1] if arguments.quick else CASES:
        yield from compare(architecture, short_side, num_instances, arguments.repeats)


def compare(architecture: str, short_side: int, num_instances: int, repeats: int) -> Iterator[Row]:
    torch.manual_seed(0)
    batch, polygons = make_batch(short_side, num_instances)
    proposals = make_proposals(batch)
    model = make_ours(architecture, batch, proposals)
    optimizer = build_sgd(model, 1, lr=LEARNING_RATE, momentum=0.9, weight_decay=0.0, **SGD_OPTIONS)
    ours = make_step(model, (batch.images, batch.image_sizes, batch.targets), optimizer)
    other = detectron2_step.build_model(architecture, NUM_CATEGORIES)
    inputs = detectron2_step.inference_inputs(batch)
    other.eval()
    detectron2_step.settle_norms(other, lambda: other(inputs))
    detectron2_step.use_proposals(other, proposals)
    theirs = detectron2_step.training_step(other, batch, polygons)
    flops = [count_flops(step) / 1e9 for step in (ours, theirs)]
    seconds = alternately({"theirs": theirs, "ours": ours}, repeats, 0)
    what = f"training step, {architecture} FPN {short_side} px, {num_instances} instances"
    yield compared(what, "detectron2", seconds["ours"], seconds["theirs"], "s")
    costs = [[taken / f for taken in seconds[side]] for side, f in zip(("ours", "theirs"), flops, strict=True)]
    work = f"{flops[0]:.0f} GFLOP, detectron2 {flops[1]:.0f}"
    yield compared(f"{what}, a GFLOP", "detectron2", costs[0], costs[1], "s", "1.3x", work)


if __name__ == "__main__":
    main(__doc__, measure)
