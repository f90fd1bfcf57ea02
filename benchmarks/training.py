"""Claim: a training step costs a fraction of torchvision's own Mask R-CNN's, with the same losses.

    python benchmarks/training.py
    python benchmarks/training.py --device cuda --results benchmarks/results/training_cuda.txt

Both models get the same weights, pictures, instances (theirs as dense masks, ours as box masks) and random numbers, so
that both sample the same anchors and proposals; a step is forward, backward and SGD. On a CPU the share of the
arithmetic is told as well: the floating-point operations of our step, counted, over the rate at which this machine
multiplies matrices in the same run, by the faster of its two libraries.
"""

from __future__ import annotations

import statistics
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import MaskRCNN as TorchvisionMaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from comparing import Row, alternately, compared, figure, main, timed
from instseg.masks import bitmask_to_box_mask
from instseg.memory import keep_freed_memory
from instseg.models.mask_rcnn import IMAGE_MEAN, IMAGE_STD, MaskRCNN, build_mask_rcnn
from instseg.types import BOX_MASK_SIZE, Target

NUM_CATEGORIES, BATCH = 4, 2
TOLERANCE = 0.01  # of a loss; the mask loss alone is not computed from the same masks
CPU_CASES = [("resnet18", 400, 10), ("resnet50", 400, 10), ("resnet50", 400, 30), ("resnet50", 800, 10)]

Step = Callable[[], dict[str, float]]


def make_boxes(rng: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """(count, 4) xyxy in whole pixels, small ones as frequent as large ones."""
    sides = np.exp(rng.uniform(np.log(16), np.log(height * 0.7), (count, 2)))
    centres = rng.uniform(0, [width, height], (count, 2))
    low = np.clip(centres - sides / 2, 0, [width - 8, height - 8])
    high = np.clip(centres + sides / 2, low + 8, [width, height])
    return np.concatenate([np.floor(low), np.ceil(high)], axis=1)


def ellipse(box: np.ndarray, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width] + 0.5
    x1, y1, x2, y2 = box
    distance = np.asarray(((2 * x - x1 - x2) / (x2 - x1)) ** 2 + ((2 * y - y1 - y2) / (y2 - y1)) ** 2)
    return (distance <= 1).astype(np.uint8)


def make_inputs(short_side: int, num_instances: int, batch: int, device: str) -> tuple[Any, Any]:
    """Arguments of torchvision's model and of ours, for the same pictures of 4:3."""
    height, width = short_side, round(short_side * 4 / 3)
    padded = [-(-side // 32) * 32 for side in (height, width)]
    noise = torch.rand(batch, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(0))
    images = torch.zeros(batch, 3, *padded, dtype=torch.uint8)
    images[:, :, :height, :width] = (F.interpolate(noise, size=(height, width), mode="bilinear") * 255).byte()
    images = images.to(device, memory_format=torch.channels_last)
    dense, targets = [], []
    for number in range(batch):
        rng = np.random.default_rng(number)
        boxes = make_boxes(rng, num_instances, height, width)
        masks = np.stack([ellipse(box, height, width) for box in boxes])
        box_masks = [bitmask_to_box_mask(mask, box, BOX_MASK_SIZE) for mask, box in zip(masks, boxes, strict=True)]
        labels = torch.from_numpy(rng.integers(1, NUM_CATEGORIES + 1, num_instances))
        target = Target(torch.from_numpy(boxes).float(), labels, torch.from_numpy(np.stack(box_masks))).to(device)
        targets.append(target)
        dense.append({"boxes": target.boxes, "labels": target.labels, "masks": torch.from_numpy(masks).to(device)})
    pictures = [image[:, :height, :width].float() / 255 for image in images]
    return (pictures, dense), (images, [(height, width)] * batch, targets)


def make_models(architecture: str, short_side: int, device: str) -> tuple[nn.Module, MaskRCNN]:
    """torchvision's and ours on the same weights, as both train from published ones: three trainable stages."""
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name=architecture, weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=3
    )
    sizes = {"min_size": short_side, "max_size": 2 * short_side}
    reference = TorchvisionMaskRCNN(
        backbone, NUM_CATEGORIES + 1, image_mean=list(IMAGE_MEAN), image_std=list(IMAGE_STD), **sizes
    )
    for name, layer in reference.named_modules():  # without trained statistics the activations would grow and grow
        if isinstance(layer, FrozenBatchNorm2d) and name.endswith("bn2" if architecture == "resnet18" else "bn3"):
            layer.weight.fill_(0.2)
    model = build_mask_rcnn(NUM_CATEGORIES, backbone=architecture, norm="frozen_bn", weights="imagenet", load=False)
    model.load_state_dict(reference.state_dict(), strict=True)
    return reference.to(device).train(), model.to(device).train()


def make_step(model: nn.Module, inputs: Any) -> Step:
    """One training step that returns its losses; the learning rate is so low that all steps are alike."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-8, momentum=0.9)

    def step() -> dict[str, float]:
        torch.manual_seed(1)
        output = model(*inputs)
        losses: dict[str, Tensor] = output[0] if isinstance(output, tuple) else output
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return {name: loss.item() for name, loss in losses.items()}

    return step


def largest_difference(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """Relative; SystemExit where a loss differs by more than ``TOLERANCE``."""
    differences = {name: abs(value / theirs[name] - 1) for name, value in ours.items()}
    worst = max(differences, key=lambda name: differences[name])
    if differences[worst] > TOLERANCE:
        raise SystemExit(f"{worst} is {ours[worst]}, torchvision's {theirs[worst]}")
    return differences[worst]


def flop_rate() -> float:
    """FLOP/s of a large product of float32 matrices: the better of torch.mm and of a 1x1 convolution."""
    side = 2048
    a, b = torch.rand(side, side), torch.rand(side, side)
    pixels, weight = a.view(1, 1, side, side).permute(0, 3, 1, 2), b.view(side, side, 1, 1)
    seconds = alternately({"mm": lambda: torch.mm(a, b), "conv": lambda: F.conv2d(pixels, weight)}, 5)
    return 2 * side**3 / min(statistics.median(taken) for taken in seconds.values())


def measure(arguments: Namespace) -> Iterator[Row]:
    on_cpu = arguments.device == "cpu"
    if on_cpu:
        keep_freed_memory()  # as train.py does; both sides profit
    cases = CPU_CASES[:2] if arguments.quick else CPU_CASES
    for architecture, short_side, num_instances in cases if on_cpu else [("resnet50", 800, 10)]:
        what = f"training step, {architecture} FPN {short_side} px, {num_instances} instances"
        inputs = make_inputs(short_side, num_instances, BATCH if on_cpu else 16, arguments.device)
        reference, model = make_models(architecture, short_side, arguments.device)
        theirs, ours = make_step(reference, inputs[0]), make_step(model, inputs[1])
        difference = largest_difference(ours(), theirs())
        seconds = alternately({"theirs": theirs, "ours": ours}, arguments.repeats, 0, arguments.device)
        goal = "2.5x" if architecture == "resnet18" or not on_cpu else "1.8x"
        agree = f"losses within {difference:.0e}"
        yield compared(what, "torchvision", seconds["ours"], seconds["theirs"], "s", goal, agree)
        if on_cpu:
            yield from arithmetic(what, ours, theirs)


def arithmetic(what: str, ours: Step, theirs: Step) -> Iterator[Row]:
    """How much of a step is arithmetic, were it done at the rate of a large product of matrices."""
    flops = []
    for step in (ours, theirs):
        with FlopCounterMode(display=False) as counter:
            step()
        flops.append(counter.get_total_flops())
    share = flops[0] / flop_rate() / timed(ours)
    figures = f"{flops[0] / 1e9:.0f} GFLOP, {share:.0%} of the time"
    yield figure(f"{what}: arithmetic", figures, "80 %", f"torchvision {flops[1] / 1e9:.0f} GFLOP")


if __name__ == "__main__":
    main(__doc__, measure)
