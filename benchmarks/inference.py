"""Claim: images are predicted in about half of torchvision's time, with masks of the image's size as RLE.

    python benchmarks/inference.py
    python benchmarks/inference.py --device cuda

Both models have the same weights and get the same pictures of 800x1067 pixels; a call is the network, its detections,
and their masks at the size of the image as compressed RLE. torchvision pastes one float picture a mask, which is then
encoded by pycocotools. Agreement is told of the detections that both find: they are paired by box and category.
detectron2 takes part where it can be imported; its weights are random ones of its own, and it finds as many instances.
"""

from __future__ import annotations

import statistics
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from detectron2_step import build_model, inference_pass, is_importable, settle_norms, use_proposals
from pycocotools import mask as coco_mask
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from torchvision.models.detection import MaskRCNN as TorchvisionMaskRCNN
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.models.detection.transform import resize_boxes
from torchvision.ops import box_iou
from training import NUM_CATEGORIES, full_precision, make_boxes, make_inputs, make_models

from comparing import Row, alternately, compared, figure, main
from instseg.app.memory import keep_freed_memory
from instseg.core.masks import bitmask_to_rle
from instseg.core.types import Batch, GroundTruth, ImageSize, Prediction
from instseg.models.mask_rcnn import MaskRCNN
from instseg.models.postprocess import detections_to_predictions

SIDE = 800
CASES = [(20, 1), (100, 1), (100, 2)]  # instances found on an image, and how many times the network's side an image has
NUM_PROPOSALS = 1000  # as many as both RPNs hand on
SCORE_THRESHOLD = 0.5
SAME_BOX = 0.99  # overlap from which two detections of a category are the same
FOUND_AGAIN = 0.95  # of the detections; float32 turns the order of a few whose scores are equal to the last digit

Predict = Callable[[], list[Prediction]]


@dataclass(frozen=True)
class Task:
    """The pictures of one batch and the size of the images they stand for."""

    pictures: list[Tensor]  # float (3, H, W), 0..1
    images: Tensor  # uint8 (B, 3, H, W), the same ones, padded
    image_sizes: list[ImageSize]
    photo_sizes: list[ImageSize]
    proposals: list[Tensor]  # (NUM_PROPOSALS, 4) xyxy


def make_task(batch: int, scale: int, device: str) -> Task:
    (pictures, _), (images, sizes, _) = make_inputs(SIDE, 1, batch, device)
    photos = [(height * scale, width * scale) for height, width in sizes]
    boxes = [make_boxes(np.random.default_rng(i), NUM_PROPOSALS, *size) for i, size in enumerate(sizes)]
    return Task(pictures, images, sizes, photos, [torch.from_numpy(own).float().to(device) for own in boxes])


def make_detectors(task: Task, device: str) -> tuple[TorchvisionMaskRCNN, MaskRCNN]:
    """Both models on the same weights, which answer as differently from place to place as trained ones do."""
    reference, model = make_models("resnet50", SIDE, device)
    reference.eval()
    model.eval()
    heads = model.roi_heads
    with torch.inference_mode():
        handle = give_proposals(model, task)
        pictures = model.transform(task.images, task.image_sizes)
        features = model.backbone(pictures.tensors)
        proposals, _ = model.rpn(pictures, features)
        pooled = heads.box_head(heads.box_roi_pool(features, proposals, task.image_sizes))
        spread(heads.box_predictor.cls_score, pooled, 2.0)
        masks = heads.mask_head(heads.mask_roi_pool(features, proposals, task.image_sizes))
        masks = F.relu(heads.mask_predictor.conv5_mask(masks))
        spread(heads.mask_predictor.mask_fcn_logits, masks.permute(0, 2, 3, 1).flatten(0, 2), 3.0)
    handle.remove()
    reference.load_state_dict(model.state_dict(), strict=True)
    for detector in (reference, model):
        detector.get_submodule("roi_heads").score_thresh = SCORE_THRESHOLD
    return reference, model


def give_proposals(model: nn.Module, task: Task) -> RemovableHandle:
    """Let the heads see boxes of all sizes instead of what the untrained RPN finds, which it goes on finding."""

    def given(rpn: nn.Module, inputs: Any, found: tuple[list[Tensor], dict[str, Tensor]]) -> Any:
        return task.proposals, found[1]

    return model.get_submodule("rpn").register_forward_hook(given)


def spread(layer: nn.Module, inputs: Tensor, deviation: float) -> None:
    """Let the outputs of a linear layer for (N, C) inputs have mean 0 and this standard deviation."""
    weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
    outputs = inputs @ weight.flatten(1).T
    scale = deviation / outputs.std(0)
    weight.mul_(scale.view(-1, *[1] * (weight.dim() - 1)))
    bias.copy_(-outputs.mean(0) * scale)


def by_torchvision(model: TorchvisionMaskRCNN, task: Task) -> Predict:
    """Its own forward pass, the image's size set apart from the picture's, and each mask encoded."""

    def predict() -> list[Prediction]:
        with torch.inference_mode():
            images, _ = model.transform(task.pictures, None)
            features = model.backbone(images.tensors)
            proposals, _ = model.rpn(images, features, None)
            found, _ = model.roi_heads(features, proposals, images.image_sizes, None)
            found = model.transform.postprocess(found, images.image_sizes, task.photo_sizes)
            return [
                _encoded(output, i, size) for i, (output, size) in enumerate(zip(found, task.photo_sizes, strict=True))
            ]

    return predict


def _encoded(output: dict[str, Tensor], image_id: int, size: ImageSize) -> Prediction:
    output = {name: value.cpu() for name, value in {**output, "masks": output["masks"][:, 0] > 0.5}.items()}
    boxes, labels, scores, masks = (output[name].numpy() for name in ("boxes", "labels", "scores", "masks"))
    return Prediction(image_id, size, boxes, labels, scores, [bitmask_to_rle(mask) for mask in masks])


def by_ours(model: MaskRCNN, task: Task, *, bf16: bool = False) -> Predict:
    def predict() -> list[Prediction]:
        with torch.inference_mode(), torch.autocast(task.images.device.type, torch.bfloat16, enabled=bf16):
            _, detections = model(task.images, task.image_sizes)
            ids = list(range(len(task.image_sizes)))
            return detections_to_predictions(detections, task.image_sizes, ids, task.photo_sizes)

    return predict


def agreement(ours: Sequence[Prediction], theirs: Sequence[Prediction]) -> str:
    """How far both agree, in words; SystemExit where they do not."""
    found, scores, overlaps = 0, [0.0], [1.0]
    for own, other in zip(ours, theirs, strict=True):
        same = box_iou(torch.from_numpy(other.boxes), torch.from_numpy(own.boxes)).numpy()
        same[other.labels[:, None] != own.labels] = 0
        for index, match in enumerate(same.argmax(1)):
            if same[index, match] >= SAME_BOX:
                found += 1
                scores.append(abs(float(own.scores[match] - other.scores[index])))
                overlaps.append(float(coco_mask.iou([own.rles[match]], [other.rles[index]], [0])[0, 0]))
    share, total = found / sum(len(other) for other in theirs), sum(len(other) for other in theirs)
    areas = np.concatenate([coco_mask.area(other.rles) for other in theirs])
    if share < FOUND_AGAIN or np.mean(overlaps) < SAME_BOX or max(scores) > 0.01 or np.median(areas) < 100:
        raise SystemExit(f"of {total} detections {share:.1%} found again, masks {np.mean(overlaps)}, {max(scores)}")
    return f"{share:.1%} of {total} detections, scores within {max(scores):.0e}, mask IoU {np.mean(overlaps):.4f}"


def measure(arguments: Namespace) -> Iterator[Row]:
    on_cpu = arguments.device == "cpu"
    if on_cpu:
        keep_freed_memory()  # as predict.py does; both sides profit
    reference, model = make_detectors(make_task(1, 1, arguments.device), arguments.device)
    batch, handles = 1 if on_cpu else 16, list[RemovableHandle]()
    for count, scale in CASES[1:2] if arguments.quick else CASES:
        task = make_task(batch, scale, arguments.device)
        for handle in handles:
            handle.remove()
        handles = [give_proposals(detector, task) for detector in (reference, model)]
        for detector in (reference, model):
            detector.roi_heads.detections_per_img = count
        ours, theirs = by_ours(model, task), by_torchvision(reference, task)
        with full_precision():
            agree = agreement(ours(), theirs())
        contenders: dict[str, Callable[[], object]] = {"theirs": theirs, "ours": ours}
        if on_cpu and is_importable():
            contenders["detectron2"] = by_detectron2(task, count)
        seconds = alternately(contenders, arguments.repeats, 1, arguments.device)
        height, width = task.photo_sizes[0]
        what = f"R50-FPN {SIDE} px, {f'{batch} images, ' * (batch > 1)}{count} instances, masks of {height}x{width}"
        yield compared(what, "torchvision", seconds["ours"], seconds["theirs"], "s", "2x or more", agree)
        if not on_cpu:
            taken = alternately({"bf16": by_ours(model, task, bf16=True)}, arguments.repeats, 1, arguments.device)[
                "bf16"
            ]
            yield compared(f"{what}, bf16", "torchvision in float32", taken, seconds["theirs"], "s")
            yield figure(f"{what}, bf16", f"{batch / statistics.median(taken):.1f} images/s")
        if "detectron2" in seconds:
            yield compared(what, "detectron2", seconds["ours"], seconds["detectron2"], "s", "", "other weights")
    yield from masks_alone(model, task, arguments.repeats)


def masks_alone(model: MaskRCNN, task: Task, repeats: int) -> Iterator[Row]:
    """What follows the network, on the same detections."""
    with torch.inference_mode():
        _, detections = model(task.images, task.image_sizes)
    ids = list(range(len(detections)))

    def ours() -> list[Prediction]:
        return detections_to_predictions(detections, task.image_sizes, ids, task.photo_sizes)

    def theirs() -> list[Prediction]:
        found: list[Prediction] = []
        for own, size, photo in zip(detections, task.image_sizes, task.photo_sizes, strict=True):
            boxes = resize_boxes(own.boxes, size, photo)
            masks = paste_masks_in_image(own.mask_probs[:, None], boxes, photo)
            output = {"boxes": boxes, "labels": own.labels, "scores": own.scores, "masks": masks}
            found.append(_encoded(output, len(found), photo))
        return found

    agree = agreement(ours(), theirs())
    seconds = alternately({"theirs": theirs, "ours": ours}, repeats, 1, task.images.device.type)
    what = f"{sum(len(own.labels) for own in detections)} masks alone, from the network's to those of the image as RLE"
    yield compared(what, "torchvision", seconds["ours"], seconds["theirs"], "s", "", agree)


def by_detectron2(task: Task, count: int) -> Callable[[], object]:
    """A pass of its model with random weights, spread as those of the other two; SystemExit where it finds fewer."""
    model = build_model("resnet50", NUM_CATEGORIES)
    truths = [
        GroundTruth(i, photo, np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, bool), [])
        for i, photo in enumerate(task.photo_sizes)
    ]
    call = inference_pass(model, Batch(task.images, task.image_sizes, [], truths))
    settle_norms(model, call)
    use_proposals(model, task.proposals)
    predictor: Any = model.get_submodule("roi_heads.box_predictor")
    predictor.cls_score.weight.data.mul_(100)
    predictor.test_topk_per_image, predictor.test_score_thresh = count, SCORE_THRESHOLD
    found = [len(image) for image in call()]
    if found != [count] * len(found):
        raise SystemExit(f"detectron2 found {found} instances, not {count}")
    return call


if __name__ == "__main__":
    main(__doc__, measure)
