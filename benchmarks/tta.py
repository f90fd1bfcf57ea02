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
from instseg.prediction.predictor import Predictor
from instseg.prediction.torch_network import TorchNetwork
from instseg.prediction.views import views_of

SET, START, NUM_IMAGES = "nuclei", "mobilenet, ImageNet", "40"
CHOICES: dict[str, tuple[Augmentation, ...]] = {
    "null": (),
    "flip": ("flip",),
    "scale": ("scale",),
    "[flip,scale]": ("flip", "scale"),
}


def trained(arguments: Namespace) -> tuple[TorchNetwork, Resize, Index]:
    """The network, its resize, and the test images."""
    config = composed(arguments, SET, START, 0)
    data = load_data(config, NUM_IMAGES)
    torch.manual_seed(0)
    network = build_model(config.model, data.categories)
    optimizer = build_optimizer(config.optimizer)(as_module(network), config.batch_size)
    started = time.process_time()
    train(network, data, optimizer, lambda _: (time.process_time() - started) / arguments.cpu_seconds)
    sizes = (int(str(config.augmentation[name])) for name in ("min_size", "max_size"))
    return TorchNetwork(network, arguments.device, "32-true"), Resize(*sizes), build_dataset(config).indices["test"]


def tested(network: TorchNetwork, resize: Resize, test: Index, chosen: tuple[Augmentation, ...]) -> CocoMaskMetrics:
    """What a choice finds on the test images."""
    metric = CocoMaskMetrics(network.categories)
    predictor = Predictor(network, resize, views=views_of(chosen))
    for row in range(len(test)):
        truth = test.ground_truth(row)
        metric.update(predictor.predict_images([test.read_image(row)], [truth.image_id]), [truth])
    return metric


def as_numbers(ap: ResampledAp) -> Measure:
    return lambda weights: ap(weights)[:, None]


def verdict(difference: Estimate) -> str:
    if not is_clear(difference):
        return "may be chance"
    return "up" if difference.value > 0 else "down"


def measure(arguments: Namespace) -> Iterator[Row]:
    torch.set_num_threads(1)
    network, resize, test = trained(arguments)
    metrics, seconds = [], []
    for chosen in CHOICES.values():
        started = time.process_time()
        metrics.append(tested(network, resize, test, chosen))
        seconds.append((time.process_time() - started) / len(test))
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
    arguments.add_argument("--cpu-seconds", type=float, default=90, help="of the training, in one thread")
    arguments.add_argument("--overrides", nargs="*", default=[], help="further settings of the training")
    return arguments


if __name__ == "__main__":
    main(__doc__, measure, options())
