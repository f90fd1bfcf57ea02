"""Claim: the masks of a batch are a hundredth of dense ones. A step with many instances holds less than torchvision's.

    python benchmarks/memory.py
    python benchmarks/memory.py --device cuda

A batch: what travels from the loader to the device. torchvision's is float32 pictures and a bitmap of the picture's
size for each instance, ours uint8 pictures and a 112x112 bitmap in the frame of each instance's box.
A step: two of them (the second one has momentum) in a process of its own; the peak of its resident memory, or of what
is allocated on the GPU, above that of a process which has only imported everything. Each side runs as its users have
it: ours keeps freed memory, as train.py does.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

import torch
from processes import apart, forget_peak, give_back_memory, memory_mb
from torch import Tensor
from training import full_precision, make_inputs, make_models, make_optimizer, make_step

from comparing import Row, compared, main
from instseg.app.memory import keep_freed_memory
from instseg.core.types import BOX_MASK_SIZE, SIZE_DIVISOR

BATCH_SIZE, INSTANCES, HEIGHT, WIDTH = 16, 30, 800, 1333
SAME_LOSS = 0.001  # the mask loss is not computed from the same masks
OURS, THEIRS = 1, 0  # places in what make_inputs and make_models give
CPU_CASES = [(400, 10), (400, 30), (400, 60), (800, 30)]


def batch_rows() -> Iterator[Row]:
    """16 images of 800x1333 with 30 instances each."""
    padded = [-(-side // SIZE_DIVISOR) * SIZE_DIVISOR for side in (HEIGHT, WIDTH)]
    count = BATCH_SIZE * INSTANCES
    boxes, labels = torch.empty(count, 4), torch.empty(count, dtype=torch.int64)
    box_masks = torch.empty(count, BOX_MASK_SIZE, BOX_MASK_SIZE, dtype=torch.uint8)
    dense = torch.empty(count, HEIGHT, WIDTH, dtype=torch.uint8)
    photos = torch.empty(BATCH_SIZE, 3, *padded, dtype=torch.uint8)
    pictures = torch.empty(BATCH_SIZE, 3, HEIGHT, WIDTH)
    what = f"{BATCH_SIZE} images of {HEIGHT}x{WIDTH}, {INSTANCES} instances each"
    own, usual = [boxes, labels, box_masks], [boxes, labels, dense]
    yield shares(f"{what}: masks", own[2:], usual[2:], "1 % (100x)")
    yield shares(f"{what}: targets", own, usual, "")
    yield shares(f"{what}: targets and pictures", [*own, photos], [*usual, pictures], "")


def shares(what: str, ours: list[Tensor], theirs: list[Tensor], goal: str) -> Row:
    sizes = [sum(tensor.nbytes for tensor in tensors) / 1e6 for tensors in (ours, theirs)]
    return compared(what, "dense masks", sizes[:1], sizes[1:], "MB", goal, f"{sizes[0] / sizes[1]:.2%} of it")


def peak_of_steps(side: int, short_side: int, num_instances: int, batch: int, device: str) -> tuple[float, float]:
    """MB that two training steps held at most, with weights, inputs, gradients and momentum; and their last loss."""
    bare = memory_mb("VmRSS")
    if side == OURS and device == "cpu":
        keep_freed_memory()
    inputs = make_inputs(short_side, num_instances, batch, device)[side]
    model = make_models("resnet50", short_side, device)[side]
    step = make_step(model, inputs, make_optimizer(model))
    give_back_memory()
    if device == "cpu":
        forget_peak()
        losses = [step() for _ in range(2)][-1]
        return memory_mb("VmHWM") - bare, sum(losses.values())
    torch.cuda.reset_peak_memory_stats(device)
    with full_precision():
        losses = [step() for _ in range(2)][-1]
    return torch.cuda.max_memory_allocated(device) / 2**20, sum(losses.values())


def step_row(short_side: int, num_instances: int, batch: int, device: str) -> Row:
    ours, theirs = (apart(peak_of_steps, side, short_side, num_instances, batch, device) for side in (OURS, THEIRS))
    difference = abs(ours[1] / theirs[1] - 1)
    if difference > SAME_LOSS:
        raise SystemExit(f"the loss is {ours[1]}, torchvision's {theirs[1]}")
    what = f"peak of a training step, R50-FPN {short_side} px, {batch} images, {num_instances} instances each"
    return compared(what, "torchvision", [ours[0]], [theirs[0]], "MB", "clearly lower", f"loss within {difference:.0e}")


def measure(arguments: Namespace) -> Iterator[Row]:
    on_cpu = arguments.device == "cpu"
    cases = CPU_CASES[:3:2] if arguments.quick else CPU_CASES
    for short_side, num_instances in cases if on_cpu else [(800, 10), (800, 60)]:  # before this process starts threads
        yield step_row(short_side, num_instances, 2 if on_cpu else 16, arguments.device)
    yield from batch_rows()


if __name__ == "__main__":
    main(__doc__, measure)
