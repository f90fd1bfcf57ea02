"""Claim: a training step on MobileNetV2 costs a fraction of torchvision's Mask R-CNN's with the same backbone.

    python benchmarks/training_mobilenet.py --results benchmarks/results/training_mobilenet.txt

Two images of 640 px with ten instances each; four maps of the backbone, norms frozen, three stages trained. At first
both sides have torchvision's heads, the same weights and random numbers, and so the same losses. Then ours is
``model=mobilenet_fpn``, whose heads are light, as its users have it.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from operator import itemgetter

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2
from torchvision.models.detection import MaskRCNN as TorchvisionMaskRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops import FrozenBatchNorm2d
from training import NUM_CATEGORIES, largest_difference, make_inputs, make_optimizer, make_step

from comparing import Row, alternately, compared, main
from instseg.app.build_model import build_model
from instseg.app.compose import compose
from instseg.app.memory import keep_freed_memory
from instseg.app.read_config import plain
from instseg.core.categories import Categories
from instseg.core.segmenter import as_module
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn
from instseg.models.normalize import IMAGE_MEAN, IMAGE_STD
from instseg.models.torchvision_backbone import TorchvisionBackbone

SIDE, NUM_INSTANCES = 640, 10
MAPS = {"3": "0", "6": "1", "13": "2", "18": "3"}  # child of MobileNetV2's features -> level of the pyramid
CHANNELS = [24, 32, 96, 1280]
FIRST_TRAINED = 4  # child of the features: the stem and the first stage are frozen
CATEGORIES = Categories(tuple(f"category {number}" for number in range(1, NUM_CATEGORIES + 1)))


def make_reference() -> nn.Module:
    """torchvision's, as its own detectors put a MobileNet under a pyramid, but with four maps."""
    torch.manual_seed(0)
    features = mobilenet_v2(weights=None, norm_layer=FrozenBatchNorm2d).features
    for child in features[:FIRST_TRAINED]:
        child.requires_grad_(False)
    sizes = {"min_size": SIDE, "max_size": 2 * SIDE, "image_mean": list(IMAGE_MEAN), "image_std": list(IMAGE_STD)}
    reference = TorchvisionMaskRCNN(BackboneWithFPN(features, MAPS, CHANNELS, 256), NUM_CATEGORIES + 1, **sizes)
    reference.transform.torch_choice = itemgetter(0)  # its own draws the size, so that all later draws are others
    model: nn.Module = reference.train()
    return model


def make_ours(state: Mapping[str, Tensor]) -> MaskRCNN:
    body = TorchvisionBackbone("mobilenet_v2", norm="frozen_bn")
    model = build_mask_rcnn(CATEGORIES, backbone=body, weights="imagenet", load=False, trainable_layers=3)
    place = "backbone.body.", "backbone.body.network.features."
    model.load_state_dict({name.replace(*place): value for name, value in state.items()}, strict=True)
    model.train()
    return model


def make_light() -> nn.Module:
    node = plain(compose("train", ["model=mobilenet_fpn"]).model)
    return as_module(build_model(node, CATEGORIES, trained=node)).train()


def measure(arguments: Namespace) -> Iterator[Row]:
    keep_freed_memory()
    theirs, ours = make_inputs(SIDE, NUM_INSTANCES, 2, "cpu")
    reference = make_reference()
    models: dict[str, nn.Module] = {"same": make_ours(reference.state_dict()), "light": make_light()}
    steps = {name: make_step(model, ours, make_optimizer(model)) for name, model in models.items()}
    steps["theirs"] = make_step(reference, theirs, make_optimizer(reference))
    difference = largest_difference(steps["same"](), steps["theirs"]())
    seconds = alternately(steps, arguments.repeats, 0)
    what, agree = f"training step, MobileNetV2 FPN, 2 images of {SIDE} px", f"losses within {difference:.0e}"
    yield compared(f"{what}, the same heads", "torchvision", seconds["same"], seconds["theirs"], "s", "", agree)
    yield compared(f"{what}, model=mobilenet_fpn", "torchvision", seconds["light"], seconds["theirs"], "s")


if __name__ == "__main__":
    main(__doc__, measure)
