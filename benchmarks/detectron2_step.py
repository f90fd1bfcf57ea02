"""detectron2's Mask R-CNN as a contender: one training step or one inference pass on the batches that ours gets.

detectron2 is no requirement of this project: where it cannot be imported, the benchmarks leave its rows out. To
include it, install it as its own documentation says, compiled against the torch that runs here. A folder named by
PYTHONPATH will do as well as site-packages. Beside what is installed here it needs fvcore, iopath, portalocker, yacs,
cloudpickle, tabulate and termcolor; pkg_resources, gone from new setuptools, only in its zoo module, unused here.

The model is the zoo's ``COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x``: frozen batch norms, ROIAlignV2 with as many
samples as a bin has pixels, strides in the 1x1 convolutions, 1000 proposals in training.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from instseg.core.errors import InstsegError
from instseg.core.types import Batch, Polygon, Target

DEPTHS = {"resnet18": 18, "resnet50": 50}
LEARNING_RATE = 1e-4
"""Far below the zoo's 0.02: the weights are random, and only the time of a step matters here."""

Polygons = Sequence[Sequence[Sequence[Polygon]]]
"""Per image, per instance of its target: the parts, in the network frame."""


def is_importable() -> bool:
    """Whether detectron2 is there and its compiled part fits this torch."""
    try:
        import_module("detectron2._C")
    except ImportError:
        return False
    return True


def build_model(backbone: str, num_categories: int) -> nn.Module:
    """Mask R-CNN of the model zoo on the CPU, with random weights; see ``settle_norms``.

    Args:
        backbone: resnet18 (not in the zoo) or resnet50.
        num_categories: without the background.
    """
    from detectron2.modeling import build_model as build

    config = zoo_config(backbone, num_categories)
    config.MODEL.BACKBONE.FREEZE_AT = 2  # the zoo's choice; ``trainable_layers=3`` of ours
    model: nn.Module = build(config)
    return model


def zoo_config(backbone: str = "resnet50", num_categories: int = 80) -> Any:
    """What the zoo's file changes of detectron2's defaults, as a ``CfgNode``."""
    from detectron2.config import get_cfg

    if backbone not in DEPTHS:
        raise InstsegError(f"backbone={backbone!r}: expected one of {', '.join(DEPTHS)}")
    config = get_cfg()
    model = config.MODEL
    model.DEVICE, model.MASK_ON = "cpu", True
    model.BACKBONE.NAME, model.RESNETS.DEPTH = "build_resnet_fpn_backbone", DEPTHS[backbone]
    if model.RESNETS.DEPTH < 50:
        model.RESNETS.RES2_OUT_CHANNELS = 64  # basic blocks do not widen
    model.RESNETS.OUT_FEATURES = model.FPN.IN_FEATURES = ["res2", "res3", "res4", "res5"]
    model.ANCHOR_GENERATOR.SIZES = [[32], [64], [128], [256], [512]]
    model.RPN.IN_FEATURES = ["p2", "p3", "p4", "p5", "p6"]
    model.RPN.PRE_NMS_TOPK_TRAIN, model.RPN.PRE_NMS_TOPK_TEST = 2000, 1000
    model.RPN.POST_NMS_TOPK_TRAIN, model.RPN.POST_NMS_TOPK_TEST = 1000, 1000
    model.ROI_HEADS.NAME, model.ROI_HEADS.NUM_CLASSES = "StandardROIHeads", num_categories
    model.ROI_HEADS.IN_FEATURES = ["p2", "p3", "p4", "p5"]
    model.ROI_BOX_HEAD.NAME, model.ROI_BOX_HEAD.NUM_FC = "FastRCNNConvFCHead", 2
    model.ROI_BOX_HEAD.POOLER_RESOLUTION = 7
    model.ROI_MASK_HEAD.NAME, model.ROI_MASK_HEAD.NUM_CONV = "MaskRCNNConvUpsampleHead", 4
    return config


def settle_norms(model: nn.Module, forward: Callable[[], object]) -> None:
    """Give the frozen norms the statistics of what reaches them during ``forward``, as training would have.

    With random weights and norms that do nothing, activations would grow from block to block. It serves models of
    detectron2 and of torchvision alike; ``forward`` runs the model once.
    """
    norms = [module for module in model.modules() if type(module).__name__.startswith("FrozenBatchNorm")]
    handles = [norm.register_forward_pre_hook(_take_statistics) for norm in norms]
    with torch.no_grad():
        forward()
    for handle in handles:
        handle.remove()


def _take_statistics(norm: nn.Module, inputs: tuple[Tensor]) -> None:
    variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
    norm.get_buffer("running_mean").copy_(mean)
    norm.get_buffer("running_var").copy_(variance)


def use_proposals(model: nn.Module, proposals: Sequence[Tensor]) -> RemovableHandle:
    """Let the RoI heads see these instead of what the RPN finds, which it goes on finding.

    proposals: per image (R, 4) xyxy in the network frame. Sampling then meets the same RoIs as in a model that is
    treated likewise, so that the heads of both have the same work.
    """
    from detectron2.structures import Boxes, Instances

    def given(rpn: nn.Module, inputs: Any, found: tuple[list[Any], dict[str, Tensor]]) -> Any:
        sizes = [instances.image_size for instances in found[0]]
        own = [
            Instances(size, proposal_boxes=Boxes(boxes), objectness_logits=torch.zeros(len(boxes)))
            for size, boxes in zip(sizes, proposals, strict=True)
        ]
        return own, found[1]

    rpn: nn.Module = model.get_submodule("proposal_generator")
    return rpn.register_forward_hook(given)


def training_step(model: nn.Module, batch: Batch, polygons: Polygons) -> Callable[[], dict[str, float]]:
    """A call that is one step of detectron2's trainer, data loading apart: losses, their gradients, SGD.

    It returns the losses under detectron2's names. ``polygons`` are the shapes of ``batch.targets``, whose own box
    masks are of no use here.
    """
    from detectron2.solver import build_optimizer
    from detectron2.utils.events import EventStorage

    config = zoo_config()
    config.SOLVER.BASE_LR = LEARNING_RATE
    optimizer = build_optimizer(config, model)
    inputs = training_inputs(batch, polygons)

    def step() -> dict[str, float]:
        model.train()
        with EventStorage():
            losses: dict[str, Tensor] = model(inputs)
            total = torch.stack(list(losses.values())).sum()
            optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return {name: loss.item() for name, loss in losses.items()}

    return step


def training_inputs(batch: Batch, polygons: Polygons) -> list[dict[str, Any]]:
    """What detectron2's ``DatasetMapper`` hands over for these images: polygons, and labels from 0."""
    from detectron2.data.detection_utils import annotations_to_instances, filter_empty_instances

    inputs = inference_inputs(batch)
    for item, size, target, shapes in zip(inputs, batch.image_sizes, batch.targets, polygons, strict=True):
        item["instances"] = filter_empty_instances(annotations_to_instances(_annotations(target, shapes), size))
    return inputs


def _annotations(target: Target, shapes: Sequence[Sequence[Polygon]]) -> list[dict[str, Any]]:
    from detectron2.structures import BoxMode

    return [
        {
            "bbox": box.tolist(),
            "bbox_mode": BoxMode.XYXY_ABS,
            "category_id": int(label) - 1,
            "segmentation": [part.reshape(-1) for part in parts],
        }
        for box, label, parts in zip(target.boxes, target.labels, shapes, strict=True)
    ]


def inference_inputs(batch: Batch) -> list[dict[str, Any]]:
    """Each image without its padding, and the size that its masks are to have."""
    return [
        {"image": image[:, :height, :width].contiguous(), "height": original[0], "width": original[1]}
        for image, (height, width), original in zip(batch.images, batch.image_sizes, batch.original_sizes, strict=True)
    ]


def inference_pass(model: nn.Module, batch: Batch) -> Callable[[], list[list[dict[str, Any]]]]:
    """A call that detects, pastes the masks into images of the original size and encodes them, as its evaluator does.

    It returns COCO results, per image at most 100: score, ``bbox`` as x, y, width, height, RLE ``segmentation``.
    """
    from detectron2.evaluation.coco_evaluation import instances_to_coco_json

    inputs = inference_inputs(batch)

    def detect() -> list[list[dict[str, Any]]]:
        model.eval()
        with torch.no_grad():
            outputs = model(inputs)
        found = [output["instances"].to("cpu") for output in outputs]
        return [instances_to_coco_json(instances, i) for instances, i in zip(found, batch.image_ids, strict=True)]

    return detect
