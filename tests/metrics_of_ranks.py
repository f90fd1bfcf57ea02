"""Metrics of two ranks, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Sequence
from pathlib import Path

import torch
from command_server import start_server
from detections import CATEGORIES, random_images

from instseg.evaluation import metrics as metrics_module
from instseg.evaluation.metrics import CocoMaskMetrics

SPLITS: dict[str, tuple[Sequence[int], Sequence[int]]] = {  # images of rank 0 and of rank 1
    "uneven": (range(5), range(5, 7)),
    "one rank without images": (range(3), ()),
    "the first rank without images": ((), range(3)),
    "padded by the sampler": (range(4), (4, 5, 6, 0)),
    "nothing anywhere": ((), ()),
}


def measure_in_two_processes(folder: Path) -> None:
    """Leave the answers of each rank as ``<rank>.pkl``."""
    start_server()
    forks = multiprocessing.get_context("forkserver")
    ranks = [forks.Process(target=measure_as_rank, args=(rank, folder), daemon=True) for rank in (0, 1)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=120)
    assert [process.exitcode for process in ranks] == [0, 0]


def measure_as_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    groups = [torch.distributed.new_group([0]), torch.distributed.new_group([1])]
    predictions, truths = random_images(0, num_images=7)
    answer = {}
    metric = CocoMaskMetrics(CATEGORIES)

    def update(metric, name):
        for index in SPLITS[name][rank]:
            metric.update([predictions[index]], [truths[index]])

    for name in SPLITS:
        metric.reset()
        update(metric, name)
        answer[name] = metric.compute()
        assert metric.compute() is answer[name]
        if name == "uneven":
            answer["records after compute"] = len(metric.records)
    for name, options in (("own", {"sync_on_compute": False}), ("group of its own", {"process_group": groups[rank]})):
        separate = CocoMaskMetrics(CATEGORIES, **options)
        update(separate, "uneven")
        answer[name] = separate.compute()["num_images"]
    metrics_module.evaluate_records = lambda *_: 1 / 0
    metric.reset()
    try:
        metric.compute()
    except Exception as error:
        answer["error"] = type(error).__name__
    (folder / f"{rank}.pkl").write_bytes(pickle.dumps(answer))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
