"""Claim: a training step costs a fraction of torchvision's own Mask R-CNN's, with the same losses.

    python benchmarks/training.py
    python benchmarks/training.py --device cuda --results benchmarks/results/training_cuda.txt

Both models get the same weights, pictures, instances (theirs as dense masks, ours as box masks) and random numbers, so
that both sample the same anchors and proposals; a step is forward, backward and SGD, each side's own. The share of the
arithmetic is told as well: the floating-point operations of a step, counted, over the rate at which this machine
multiplies matrices in the same run, on a CPU by the faster of its two libraries.
"""

from __future__ import annotations

import math
import statistics
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import MaskRCNN as TorchvisionMaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from comparing import Row, alternately, compared, figure, main
from instseg.app.memory import keep_freed_memory
from instseg.core.box_masks import bitmask_to_box_mask
from instseg.core.types import BOX_MASK_SIZE, Target
from instseg.models.linear import has_onednn
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn
from instseg.models.normalize import IMAGE_MEAN, IMAGE_STD
from instseg.training.optimizers import build_sgd

NUM_CATEGORIES = 4
LEARNING_RATE = 1e-8
SGD_OPTIONS: dict[str, Any] = {"nesterov": False, "base_batch_size": 1, "lr_scaling": "none"}
TOLERANCES = {"loss_mask": 1e-3}  # relative; it is not computed from the same masks
TOLERANCE = 1e-4  # of the other losses
CPU_CASES = [
    *(("resnet18", 400, 10), ("resnet50", 400, 10), ("resnet18", 400, 30)),
    *(("resnet50", 400, 30), ("resnet50", 800, 10), ("resnet50", 800, 30)),
]

GPU_CASE = ("resnet50", 800, 10, 16)

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
    """Arguments of torchvision's model and of ours, for the same pictures: of 4:3, or 800x1333 on a GPU."""
    height, width = short_side, round(short_side * (4 / 3 if device == "cpu" else 5 / 3))
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
        inside = [mask[y1:y2, x1:x2] for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True)]
        box_masks = [bitmask_to_box_mask(mask, BOX_MASK_SIZE) for mask in inside]
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
    reference.transform.torch_choice = itemgetter(0)  # its own draws the size, so that all later draws are others
    for name, layer in reference.named_modules():  # without trained statistics the activations would grow and grow
        if isinstance(layer, FrozenBatchNorm2d) and name.endswith("bn2" if architecture == "resnet18" else "bn3"):
            layer.weight.fill_(0.2)
    model = build_mask_rcnn(NUM_CATEGORIES, backbone=architecture, norm="frozen_bn", weights="imagenet", load=False)
    model.load_state_dict(reference.state_dict(), strict=True)
    return reference.to(device).train(), model.to(device).train()


def make_step(model: nn.Module, inputs: Any, optimizer: Optimizer, *, bf16: bool = False) -> Step:
    """One training step that returns its losses; the learning rate is so low that all steps are alike."""
    device = next(model.parameters()).device.type

    def step() -> dict[str, float]:
        torch.manual_seed(1)
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            output = model(*inputs)
        losses: dict[str, Tensor] = output[0] if isinstance(output, tuple) else output
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return {name: loss.item() for name, loss in losses.items()}

    return step


def make_steps(
    architecture: str, short_side: int, num_instances: int, batch: int, device: str, bf16: bool
) -> tuple[Step, Step]:
    """A step of torchvision's reference training and one of ours, on the same weights and data."""
    inputs = make_inputs(short_side, num_instances, batch, device)
    reference, model = make_models(architecture, short_side, device)
    return (
        make_step(reference, inputs[0], make_optimizer(reference), bf16=bf16),
        make_step(model, inputs[1], make_optimizer(model), bf16=bf16),
    )


def make_optimizer(model: nn.Module) -> Optimizer:
    """SGD with momentum: torchvision's references use torch's plain one, train.py the fused one."""
    if isinstance(model, MaskRCNN):
        return build_sgd(model, 1, lr=LEARNING_RATE, momentum=0.9, weight_decay=0.0, **SGD_OPTIONS)
    return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=LEARNING_RATE, momentum=0.9)


def largest_difference(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """Relative; SystemExit where a loss differs by more than its tolerance."""
    differences = {name: abs(value / theirs[name] - 1) for name, value in ours.items()}
    for name, difference in differences.items():
        if difference > TOLERANCES.get(name, TOLERANCE):
            raise SystemExit(f"{name} is {ours[name]}, torchvision's {theirs[name]}")
    return max(differences.values())


def flop_rate() -> float:
    """FLOP/s of a large product of float32 matrices: the better of torch.mm and of a 1x1 convolution."""
    side = 2048
    a, b = torch.rand(side, side), torch.rand(side, side)
    pixels, weight = a.view(1, 1, side, side).permute(0, 3, 1, 2), b.view(side, side, 1, 1)
    seconds = alternately({"mm": lambda: torch.mm(a, b), "conv": lambda: F.conv2d(pixels, weight)}, 5)
    return 2 * side**3 / min(statistics.median(taken) for taken in seconds.values())


def measure(arguments: Namespace) -> Iterator[Row]:
    yield from on_gpu(arguments) if arguments.device != "cpu" else on_cpu(arguments)


def on_cpu(arguments: Namespace) -> Iterator[Row]:
    keep_freed_memory()  # as train.py does; both sides profit
    for architecture, short_side, num_instances in CPU_CASES[:2] if arguments.quick else CPU_CASES:
        what = f"training step, {architecture} FPN {short_side} px, {num_instances} instances"
        theirs, ours = make_steps(architecture, short_side, num_instances, 2, "cpu", bf16=False)
        difference = largest_difference(ours(), theirs())
        seconds = alternately({"theirs": theirs, "ours": ours}, arguments.repeats, 0)
        goal = "2.5x" if architecture == "resnet18" else "1.8x"
        agree = f"losses within {difference:.0e}"
        yield compared(what, "torchvision", seconds["ours"], seconds["theirs"], "s", goal, agree)
        yield from arithmetic(what, statistics.median(seconds["ours"]), ours, theirs)
    if torch.cpu._is_avx512_bf16_supported():
        yield half_precision(arguments)


def half_precision(arguments: Namespace) -> Row:
    """trainer.precision=bf16-mixed, an option: the losses are those of another rounding."""
    _, full = make_steps("resnet50", 400, 10, 2, "cpu", bf16=False)
    _, half = make_steps("resnet50", 400, 10, 2, "cpu", bf16=True)
    seconds = alternately({"full": full, "half": half}, arguments.repeats)
    what = "training step, resnet50 FPN 400 px, 10 instances, bf16-mixed"
    return compared(what, "ours in float32", seconds["half"], seconds["full"], "s")


def on_gpu(arguments: Namespace) -> Iterator[Row]:
    """R50 FPN, 16 images of 800x1333: all in float32 (convolutions in TF32, torch's default) and in bf16."""
    device = arguments.device
    seconds: dict[str, list[float]] = {}
    for name, bf16 in (("float32", False), ("bf16", True)):
        theirs, ours = make_steps(*GPU_CASE, device, bf16)
        taken = alternately({"torchvision": theirs, "ours": ours}, arguments.repeats, 2, device)
        seconds |= {f"{side} {name}": times for side, times in taken.items()}
        del theirs, ours
    what = f"training step, resnet50 FPN 800 px, {GPU_CASE[3]} images"
    for own, other, goal in (("float32", "float32", ""), ("bf16", "bf16", ""), ("bf16", "float32", "2.5x")):
        pair = seconds[f"ours {own}"], seconds[f"torchvision {other}"]
        yield compared(f"{what}, {own}", f"torchvision {other}", *pair, "s", goal)
    peak = {"float32": matrix_rate(device, torch.float32), "bf16": matrix_rate(device, torch.bfloat16)}
    for number, (side, times) in enumerate(seconds.items()):
        middle, precision = statistics.median(times), side.split()[1]
        gigabytes, flops = alone(number % 2, precision == "bf16", device)
        share = flops / middle / peak[precision]
        value = f"{GPU_CASE[3] / middle:.1f} images/s, {gigabytes:.1f} GB, {share:.0%} of the matrix rate"
        yield figure(f"{what}, {side}", value, "100 images/s" if side == "ours bf16" else "")
    with full_precision():
        theirs, ours = make_steps(*GPU_CASE, device, False)
        yield figure(f"{what}: agreement", "", agree=f"losses within {largest_difference(ours(), theirs()):.0e}")


def alone(side: int, bf16: bool, device: str) -> tuple[float, int]:
    """GB that the third step of one side (0 torchvision, 1 ours) holds at most, and its operations."""
    step = make_steps(*GPU_CASE, device, bf16)[side]
    flops = count_flops(step)
    step()
    torch.cuda.reset_peak_memory_stats(device)
    step()
    return torch.cuda.max_memory_allocated(device) / 1e9, flops


@contextmanager
def full_precision() -> Iterator[None]:
    """Convolutions without TF32, whose three digits let each side find other proposals."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """FLOP/s of a large product of matrices on a GPU, in TF32 for float32."""
    side = 8192
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    a, b = (torch.rand(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = alternately({"mm": lambda: torch.mm(a, b)}, 20, 5, device)["mm"]
    torch.backends.cuda.matmul.allow_tf32 = before
    return 2 * side**3 / statistics.median(seconds)


def count_flops(call: Callable[[], object]) -> int:
    """Floating-point operations of one call, a multiplication and an addition being two."""
    known: dict[Any, Any] = {torch.ops.aten.convolution_backward: _convolution_backward_flops}
    if has_onednn():
        known[torch.ops.mkldnn._linear_pointwise] = _product_flops
    with FlopCounterMode(display=False, custom_mapping=known) as counter:
        call()
    return int(counter.get_total_flops())


def _product_flops(x: Any, weight: Any, *_args: Any, **_kwargs: Any) -> int:
    """Of x @ weight.T, from both shapes: torch's counter does not know this one."""
    return int(2 * math.prod(x) * weight[0])


def _convolution_backward_flops(gradient: Any, x: Any, weight: Any, *args: Any, **_kwargs: Any) -> int:
    """Each of the two gradients costs as much as the forward pass; torch's counter forgets the groups of the second."""
    transposed, computed = args[4], args[7]
    pixels = (x if transposed else gradient)[2:]
    return int(2 * gradient[0] * math.prod(pixels) * math.prod(weight) * sum(computed[:2]))


def arithmetic(what: str, seconds: float, ours: Step, theirs: Step) -> Iterator[Row]:
    """How much of our step is arithmetic, were it done at the rate of a large product of matrices."""
    flops = [count_flops(step) for step in (ours, theirs)]
    share = flops[0] / flop_rate() / seconds
    figures = f"{flops[0] / 1e9:.0f} GFLOP, {share:.0%} of the time"
    yield figure(f"{what}: arithmetic", figures, "80 %", f"torchvision {flops[1] / 1e9:.0f} GFLOP")


if __name__ == "__main__":
    main(__doc__, measure)
