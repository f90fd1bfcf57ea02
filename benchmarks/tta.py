"""Claim: predictions on mirrored and rescaled images, averaged, have a higher mask AP than those on the images alone.

    python benchmarks/tta.py --data ../shared/data --weights imagenet

One network (mobilenet_fpn from ImageNet's weights, trained for 90 CPU seconds on 40 images of nuclei, as in
``small_data.py``) on the 60 test images with each choice of ``tta``. The difference from ``tta=null`` is on the same
images, with the interval of 95 % of a paired bootstrap; where that holds 0, it may be chance. Seconds are CPU time in
one thread.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from small_data import composed, load_data, train

from comparing import Row, figure, main, parser
from instseg.app.build_data import build_dataset
from instseg.app.build_model import build_model
from instseg.app.build_module import build_optimizer
from instseg.core.segmenter import as_module
from instseg.data.index.columns import Index
from instseg.data.transforms.resize import Resize
from instseg.evaluation.bootstrap import ResampledAp
from instseg.evaluation.estimates import Estimate, draws_for
from instseg.evaluation.metrics import CocoMaskMetrics
from instseg.evaluation.paired import is_clear, paired
from instseg.evaluation.resampling import Measure
from instseg.prediction.augmentations import Augmentation
from instseg.prediction.fusing import fused
from instseg.prediction.predictor import Predictor
from instseg.prediction.torch_network import TorchNetwork
from instseg.prediction.views import View, views_of

SET, START, NUM_IMAGES = "nuclei", "mobilenet, ImageNet", "40"
ALL: tuple[Augmentation, ...] = ("flip", "scale")
CHOICES: dict[str, tuple[Augmentation, ...]] = {
    "null": (),
    "flip": ("flip",),
    "scale": ("scale",),
    "[flip,scale]": ALL,
}


def trained(arguments: Namespace) -> tuple[TorchNetwork, Resize, Index]:
    """The network, its resize, and the test images; it is trained unless its weights lie in ``--out``."""
    config, file = composed(arguments, SET, START, 0), arguments.out / f"network_{arguments.cpu_seconds:g}.pt"
    data = load_data(config, NUM_IMAGES)
    torch.manual_seed(0)
    network = build_model(config.model, data.categories)
    if file.is_file():
        as_module(network).load_state_dict(torch.load(file, weights_only=True))
    else:
        optimizer, started = (
            build_optimizer(config.optimizer)(as_module(network), config.batch_size),
            time.process_time(),
        )
        train(network, data, optimizer, lambda _: (time.process_time() - started) / arguments.cpu_seconds)
        arguments.out.mkdir(parents=True, exist_ok=True)
        torch.save(as_module(network).state_dict(), file)
    sizes = (int(str(config.augmentation[name])) for name in ("min_size", "max_size"))
    return TorchNetwork(network, arguments.device, "32-true"), Resize(*sizes), build_dataset(config).indices["test"]


@dataclass
class Found:
    """What each choice finds on the test images, and the CPU seconds of each view."""

    metrics: dict[str, CocoMaskMetrics]
    seconds: dict[View, float]


def tested(network: TorchNetwork, resize: Resize, test: Index) -> Found:
    """Predict each view of each image once; every choice fuses its own of them, as a predictor does."""
    found = Found({name: CocoMaskMetrics(network.categories) for name in CHOICES}, dict.fromkeys(views_of(ALL), 0.0))
    for row in range(len(test)):
        image, truth = test.read_image(row), test.ground_truth(row)
        of_view = {}
        for view in found.seconds:
            started = time.process_time()
            (one,) = Predictor(network, resize, views=(view,)).predict_images([image], [truth.image_id])
            of_view[view] = one
            found.seconds[view] += time.process_time() - started
        for name, chosen in CHOICES.items():
            views = [of_view[view] for view in views_of(chosen)]
            found.metrics[name].update([fused(views) if len(views) > 1 else views[0]], [truth])
    return found


def as_numbers(ap: ResampledAp) -> Measure:
    return lambda weights: ap(weights)[:, None]


def verdict(difference: Estimate) -> str:
    if not is_clear(difference):
        return "may be chance"
    return "up" if difference.value > 0 else "down"


def measure(arguments: Namespace) -> Iterator[Row]:
    torch.set_num_threads(1)
    network, resize, test = trained(arguments)
    found = tested(network, resize, test)
    metrics = [*found.metrics.values()]
    for metric in metrics:
        metric.compute()  # what was measured of each image is known from here on
    seconds = [sum(found.seconds[view] for view in views_of(chosen)) / len(test) for chosen in CHOICES.values()]
    num_detections = sum(len(record.labels) for metric in metrics for record in metric.measured)
    drawn = draws_for(len(test), num_detections)
    for name in ("segm_map", "segm_map_50", "segm_map_75"):
        aps = [ResampledAp(metric.measured, network.categories, name) for metric in metrics]
        (numbers,) = paired([as_numbers(ap) for ap in aps], drawn)
        for position, (choice, value) in enumerate(zip(CHOICES, numbers.values, strict=True)):
            difference = numbers.differences[position - 1] if position else None
            yield figure(
                f"{name}, tta={choice}, {len(test)} test images of {SET}",
                str(value),
                goal="up" if difference else "",
                against=f"{difference} from null: {verdict(difference)}" if difference else "",
                agree=f"{seconds[position]:.2f} CPU s an image",
            )


def options() -> ArgumentParser:
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="the folder of the sets")
    arguments.add_argument("--weights", default="imagenet", help="of MobileNetV2: imagenet, or a file")
    arguments.add_argument("--cache", type=Path, default=Path("data"), help="indices of the sets")
    arguments.add_argument("--out", type=Path, default=Path("outputs/benchmark_tta"), help="keeps the trained network")
    arguments.add_argument("--cpu-seconds", type=float, default=90, help="of the training, in one thread")
    arguments.add_argument("--overrides", nargs="*", default=[], help="further settings of the training")
    return arguments


if __name__ == "__main__":
    main(__doc__, measure, options())
