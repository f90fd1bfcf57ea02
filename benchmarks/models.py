"""Claim: what each network of ``conf/model`` holds and computes: parameters, operations, memory of a training step.

    python benchmarks/models.py --results benchmarks/results/models.txt

Each is built as its yaml says, with the norms that its weights bring and without the weights themselves. A step is two
images of 400x533 px with ten instances each, forward, backward and SGD. A prediction is one such image, in which an
untrained network finds next to nothing: masks come on top. None of this depends on how busy a machine is; seconds are
in ``training.py`` and ``inference.py``. Memory is the peak of two steps in a process of its own.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from processes import apart, forget_peak, give_back_memory, memory_mb
from torch import nn
from training import NUM_CATEGORIES, count_flops, make_inputs, make_optimizer, make_step

from comparing import Row, compared, figure, main
from instseg.app.build_model import build_model
from instseg.app.compose import compose
from instseg.app.memory import keep_freed_memory
from instseg.app.read_config import plain
from instseg.core.categories import Categories
from instseg.core.segmenter import as_module

MODELS = sorted(path.stem for path in (Path(__file__).parents[1] / "conf" / "model").glob("*.yaml"))
BASIS = "r50fpn"
SIDE, NUM_INSTANCES = 400, 10
CATEGORIES = Categories(tuple(f"category {number}" for number in range(1, NUM_CATEGORIES + 1)))


def make_network(name: str) -> nn.Module:
    torch.manual_seed(0)
    node = plain(compose("train", [f"model={name}"]).model)
    return as_module(build_model(node, CATEGORIES, trained=node))


def make_training_step(name: str) -> Callable[[], object]:
    network = make_network(name).train()
    return make_step(network, make_inputs(SIDE, NUM_INSTANCES, 2, "cpu")[1], make_optimizer(network))


def make_prediction(name: str) -> Callable[[], object]:
    network = make_network(name).eval()
    images, sizes, _ = make_inputs(SIDE, NUM_INSTANCES, 1, "cpu")[1]
    return torch.inference_mode()(lambda: network(images, sizes))


def peak_mb(name: str) -> float:
    """Memory of two steps, with weights, gradients and momentum, above that of a process without them."""
    bare = memory_mb("VmRSS")
    keep_freed_memory()
    step = make_training_step(name)
    give_back_memory()
    forget_peak()
    for _ in range(2):
        step()
    return memory_mb("VmHWM") - bare


def measure(arguments: Namespace) -> Iterator[Row]:
    peaks = {name: apart(peak_mb, name) for name in MODELS}  # before this process starts threads
    for name in MODELS:
        count = sum(parameter.numel() for parameter in make_network(name).parameters())
        yield figure(f"{name}: parameters", f"{count / 1e6:.1f} million")
    for name, peak in peaks.items():
        yield compared(f"{name}: peak memory of a training step", BASIS, [peak], [peaks[BASIS]], "MB")
    for what, make in (("training step", make_training_step), ("prediction", make_prediction)):
        flops = {name: count_flops(make(name)) / 1e9 for name in MODELS}
        for name in MODELS:
            yield compared(f"{name}: {what}", BASIS, [flops[name]], [flops[BASIS]], "GFLOP")


if __name__ == "__main__":
    main(__doc__, measure)
