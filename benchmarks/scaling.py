"""Claim: n devices train n times as many images a second, less what sending the gradients costs on this machine.

    python benchmarks/scaling.py                                # CPU processes; each has its share of the cores
    python benchmarks/scaling.py --device cuda --results benchmarks/results/scaling_cuda.txt

Steps of 1, 2, 4, … processes alternate; each holds the same number of images, so that the ideal is equal time. The
efficiency is images a second of k processes over k times those of one. Beside it: one all-reduce of all gradients, and
on CPUs a single process with all cores. The gradients of k processes are the mean of what each finds alone.
"""

from __future__ import annotations

import os
import socket
import statistics
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from training import make_inputs, make_models

from comparing import Row, alternately, figure, main, timed

BATCH = 2  # images a process
TOLERANCE = 1e-4  # of the largest gradient


@dataclass(frozen=True)
class Place:
    """Where a worker stands, and what it trains."""

    rank: int
    world_size: int
    port: int
    device: str
    architecture: str
    short_side: int
    threads: int


def group_sizes(world_size: int) -> list[int]:
    """1, 2, 4, … and all."""
    return sorted({2**power for power in range(world_size.bit_length()) if 2**power <= world_size} | {world_size})


def gradients(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def backward(model: nn.Module, inputs: Any) -> None:
    """With the same random numbers each time: the same anchors and proposals are sampled."""
    torch.manual_seed(1)
    model.zero_grad(set_to_none=True)
    losses, _ = model(*inputs)
    torch.autograd.backward(torch.stack(list(losses.values())).sum())


class Worker:
    """One rank: does what it is told until it is told to stop."""

    def __init__(self, place: Place) -> None:
        self.place, self.device = place, f"cuda:{place.rank}" if place.device == "cuda" else "cpu"
        torch.set_num_threads(place.threads)
        if place.device == "cuda":
            torch.cuda.set_device(place.rank)
        dist.init_process_group(
            "nccl" if place.device == "cuda" else "gloo",
            init_method=f"tcp://127.0.0.1:{place.port}",
            rank=place.rank,
            world_size=place.world_size,
        )
        self.groups: dict[int, Any] = {
            size: dist.new_group(list(range(size))) for size in group_sizes(place.world_size)
        }
        self.model = make_models(place.architecture, place.short_side, self.device)[1]
        self.inputs = make_inputs(place.short_side, 10, BATCH, self.device)[1]
        self.wrapped: DistributedDataParallel | None = None

    def wrap(self, size: int) -> None:
        if place_is_in(self.place, size):
            ids = [self.place.rank] if self.place.device == "cuda" else None
            self.wrapped = DistributedDataParallel(self.model, device_ids=ids, process_group=self.groups[size])

    def step(self, size: int) -> None:
        """Gradients of all ranks' images; a single process has nobody to send them to."""
        if place_is_in(self.place, size):
            assert self.wrapped is not None
            backward(self.wrapped if size > 1 else self.model, self.inputs)
            self.finish()

    def reduce(self, size: int) -> None:
        if place_is_in(self.place, size):
            dist.all_reduce(gradients(self.model), group=self.groups[size])
            self.finish()

    def difference(self, size: int) -> float:
        """Of the gradients that DistributedDataParallel finds, from the mean of those that each rank finds alone."""
        if not place_is_in(self.place, size):
            return 0.0
        backward(self.model, self.inputs)
        mean = gradients(self.model)
        dist.all_reduce(mean, group=self.groups[size])
        mean /= size
        assert self.wrapped is not None
        backward(self.wrapped, self.inputs)
        return float((gradients(self.model) - mean).abs().max() / mean.abs().max())

    def gradient_bytes(self, size: int) -> int:
        return gradients(self.model).nbytes

    def use_threads(self, count: int) -> None:
        torch.set_num_threads(count)

    def finish(self) -> None:
        if self.place.device == "cuda":
            torch.cuda.synchronize()


def place_is_in(place: Place, size: int) -> bool:
    return place.rank < size


def work(place: Place, pipe: Connection) -> None:
    warnings.filterwarnings("ignore", "Grad strides do not match")  # of 1x1 convolutions, whose strides mean nothing
    worker = Worker(place)
    pipe.send(None)
    while (order := pipe.recv()) is not None:
        name, argument = order
        pipe.send(getattr(worker, name)(argument))
    dist.destroy_process_group()


class Crew:
    """All workers; an order goes to all, and is done when all have answered."""

    def __init__(self, world_size: int, arguments: Namespace, architecture: str, short_side: int) -> None:
        self.context = multiprocessing.get_context("spawn")
        cores = len(os.sched_getaffinity(0))
        self.cores, self.share = cores, max(1, cores // world_size)
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        self.pipes: list[Connection] = []
        for rank in range(world_size):
            place = Place(rank, world_size, port, arguments.device, architecture, short_side, self.share)
            here, there = self.context.Pipe()
            self.context.Process(target=work, args=(place, there), daemon=True).start()
            there.close()
            self.pipes.append(here)
        self.answers()

    def answers(self) -> list[Any]:
        try:
            return [pipe.recv() for pipe in self.pipes]
        except EOFError:
            raise SystemExit("a process ended; its own error is above") from None

    def order(self, name: str, argument: int) -> list[Any]:
        for pipe in self.pipes:
            pipe.send((name, argument))
        return self.answers()

    def stop(self) -> None:
        for pipe in self.pipes:
            pipe.send(None)


def measure(arguments: Namespace) -> Iterator[Row]:
    is_cuda = arguments.device == "cuda"
    world_size = torch.cuda.device_count() if is_cuda else min(len(os.sched_getaffinity(0)), 8)
    architecture, short_side = ("resnet50", 800) if is_cuda else ("resnet18", 256 if arguments.quick else 400)
    crew = Crew(world_size, arguments, architecture, short_side)
    what = f"{architecture} FPN {short_side} px, {BATCH} images a process"
    sizes = group_sizes(world_size)
    seconds, differences = step_seconds(crew, sizes, arguments.repeats)
    one = statistics.median(seconds[1])
    for size in sizes:
        rate = size * BATCH / statistics.median(seconds[size])
        pairs = [alone / taken for alone, taken in zip(seconds[1], seconds[size], strict=True)]
        agree = f"gradients within {differences[size]:.0e}" if size > 1 else ""
        processes = f"{size} process{'es' if size > 1 else ''}, {crew.share} thread{'s' if crew.share > 1 else ''} each"
        yield Row(
            f"{what}: {'GPUs: ' + str(size) if is_cuda else processes}",
            f"{rate:.3g} images/s",
            f"ideal {size * BATCH / one:.3g} images/s",
            statistics.median(pairs),
            min(pairs),
            max(pairs),
            "",
            agree,
        )
    yield all_reduce(crew, world_size, arguments.repeats)
    if not is_cuda:
        yield one_with_all_cores(crew, what, arguments.repeats)
    crew.stop()


def step_seconds(crew: Crew, sizes: list[int], repeats: int) -> tuple[dict[int, list[float]], dict[int, float]]:
    """Of each group size, in turns; SystemExit where the gradients are not the mean of the ranks'."""
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    differences = {}
    for _ in range(repeats):
        for size in sizes:
            crew.order("wrap", size)
            differences[size] = max(crew.order("difference", size))  # warms up as well
            if differences[size] > TOLERANCE:
                raise SystemExit(f"gradients of {size} processes differ by {differences[size]:.1e} of the largest")
            seconds[size].append(timed(ordered(crew, "step", size)))
    return seconds, differences


def ordered(crew: Crew, name: str, size: int) -> Callable[[], object]:
    return lambda: crew.order(name, size)


def all_reduce(crew: Crew, world_size: int, repeats: int) -> Row:
    """The gradients in one piece, while nothing else is done: DistributedDataParallel sends them during backward."""
    sent = crew.order("gradient_bytes", world_size)[0]
    taken = alternately({"reduce": ordered(crew, "reduce", world_size)}, repeats)["reduce"]
    median = statistics.median(taken)
    moved = 2 * (world_size - 1) / world_size * sent  # what each process sends, and receives
    value = f"{1000 * median:.3g} ms, {moved / median / 1e9:.2g} GB/s a process"
    return figure(f"all-reduce of {sent / 1e6:.0f} MB of gradients, {world_size} processes", value)


def one_with_all_cores(crew: Crew, what: str, repeats: int) -> Row:
    crew.order("use_threads", crew.cores)
    taken = statistics.median(alternately({"all": ordered(crew, "step", 1)}, repeats)["all"])
    return figure(f"{what}: 1 process, {crew.cores} threads", f"{BATCH / taken:.3g} images/s")


if __name__ == "__main__":
    main(__doc__, measure)
