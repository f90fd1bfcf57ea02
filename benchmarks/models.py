"""Claim: what each network of ``conf/model`` costs: its parameters, a training step, a prediction, its memory.

    python benchmarks/models.py
    python benchmarks/models.py --device cuda --results benchmarks/results/models_cuda.txt

Each is built as its yaml says, with the norms that its weights bring and without the weights themselves. A step is two
images of 400x533 px with ten instances each, forward, backward and SGD; a prediction is one such image. All take turns;
a ratio is r50fpn's cost over that of the network. Predictions of networks that have learnt nothing find next to
nothing: masks come on top, see ``inference.py``. Memory is the peak of two steps in a process of its own.
"""

from __future__ import annotations

import statistics
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from processes import apart, forget_peak, give_back_memory, memory_mb
from torch import nn
from training import NUM_CATEGORIES, make_inputs, make_optimizer, make_step

from comparing import Row, alternately, compared, figure, main
from instseg.app.build_model import build_model
from instseg.app.compose import compose
from instseg.app.config import plain
from instseg.app.memory import keep_freed_memory
from instseg.core.categories import Categories
from instseg.core.segmenter import as_module

MODELS = sorted(path.stem for path in (Path(__file__).parents[1] / "conf" / "model").glob("*.yaml"))
BASIS = "r50fpn"
SIDE, NUM_INSTANCES = 400, 10
CATEGORIES = Categories(tuple(f"category {number}" for number in range(1, NUM_CATEGORIES + 1)))


def make_network(name: str, device: str) -> nn.Module:
    torch.manual_seed(0)
    node = plain(compose("train", [f"model={name}"]).model)
    return as_module(build_model(node, CATEGORIES, trained=node)).to(device)


def make_training_step(name: str, device: str) -> Callable[[], object]:
    network = make_network(name, device).train()
    return make_step(network, make_inputs(SIDE, NUM_INSTANCES, 2, device)[1], make_optimizer(network))


def make_prediction(name: str, device: str) -> Callable[[], object]:
    network = make_network(name, device).eval()
    images, sizes, _ = make_inputs(SIDE, NUM_INSTANCES, 1, device)[1]
    return torch.inference_mode()(lambda: network(images, sizes))


def peak_mb(name: str) -> float:
    """Memory of two steps, with weights, gradients and momentum, above that of a process without them."""
    bare = memory_mb("VmRSS")
    keep_freed_memory()
    step = make_training_step(name, "cpu")
    give_back_memory()
    forget_peak()
    for _ in range(2):
        step()
    return memory_mb("VmHWM") - bare


def parameters(name: str) -> Row:
    counts = [p.numel() / 1e6 for p in make_network(name, "cpu").parameters()]
    return figure(f"{name}: parameters", f"{sum(counts):.1f} million")


def measure(arguments: Namespace) -> Iterator[Row]:
    if arguments.device == "cpu":
        peaks = {name: apart(peak_mb, name) for name in MODELS}  # before this process starts threads
        for name, peak in peaks.items():
            yield compared(f"{name}: peak of a training step", BASIS, [peak], [peaks[BASIS]], "MB")
    yield from map(parameters, MODELS)
    keep_freed_memory()
    for what, make in (("training step", make_training_step), ("prediction", make_prediction)):
        calls = {name: make(name, arguments.device) for name in MODELS}
        seconds = alternately(calls, 2 if arguments.quick else arguments.repeats, device=arguments.device)
        for name in sorted(MODELS, key=lambda name: statistics.median(seconds[name])):
            yield compared(f"{name}: {what}", BASIS, seconds[name], seconds[BASIS], "s")


if __name__ == "__main__":
    main(__doc__, measure)
