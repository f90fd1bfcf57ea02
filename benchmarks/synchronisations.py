"""Claim: a training or evaluation step makes the host wait for a GPU less often than torchvision's.

    python benchmarks/synchronisations.py > benchmarks/results/synchronisations.txt

A wait leaves the GPU without work until the next kernels are launched. The steps run on the CPU, along the paths that
a GPU takes, while ``device_waits`` counts each place where the host would need a number from the device or would copy
to it. Counts are exact for torchvision's and our code; kernels are assumed to wait where those of torch do. The places
are listed before the table.
"""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from unittest.mock import patch

import torch
from device_waits import DeviceWaits, Place
from inference import _encoded
from torch import Tensor, nn
from torchvision.ops import boxes
from training import make_inputs, make_models

from comparing import Row, compared, main
from instseg.models import roi_align, rpn
from instseg.models.nms import nms_by_image
from instseg.models.postprocess import detections_to_predictions

SHORT_SIDE, NUM_INSTANCES, BATCH = 200, 10, 2


def waits_of(call: Callable[[], object]) -> Counter[Place]:
    """Those of the second call, on the paths of a GPU: RoIAlign by level, NMS of all groups as one."""
    one_call = boxes._batched_nms_coordinate_trick
    with (
        patch.object(roi_align, "roi_align_rows", roi_align.roi_align_levels),
        patch.object(rpn, "nms_in_groups", nms_by_image),
        patch.object(boxes, "_batched_nms_vanilla", one_call),
    ):
        call()
        with DeviceWaits() as found:
            call()
    return found


def training_call(model: nn.Module, inputs: tuple[object, ...]) -> Callable[[], object]:
    """Forward, backward and SGD; no loss is read."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-8, momentum=0.9)

    def step() -> None:
        torch.manual_seed(1)
        output = model.train()(*inputs)
        losses: dict[str, Tensor] = output[0] if isinstance(output, tuple) else output
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def measure(arguments: Namespace) -> Iterator[Row]:
    theirs, ours = make_inputs(SHORT_SIDE, NUM_INSTANCES, BATCH, "cpu")
    reference, model = make_models("resnet18", SHORT_SIDE, "cpu")
    images, sizes, targets = ours

    @torch.no_grad()
    def evaluation(with_losses: bool) -> object:
        _, detections = model.eval()(images, sizes, targets if with_losses else None)
        return detections_to_predictions(detections, sizes, list(range(BATCH)), sizes)

    @torch.no_grad()
    def their_evaluation() -> object:
        return [_encoded(output, i, sizes[i]) for i, output in enumerate(reference.eval()(theirs[0]))]

    cases = {
        "training step": (training_call(model, ours), training_call(reference, theirs)),
        "prediction": (lambda: evaluation(with_losses=False), their_evaluation),
        "evaluation step, losses as well": (lambda: evaluation(with_losses=True), their_evaluation),
    }
    for what, (own, other) in cases.items():
        found = {"ours": waits_of(own), "torchvision": waits_of(other)}
        counts = {side: float(waits.total()) for side, waits in found.items()}
        note = "theirs without losses" if "losses" in what else ""
        yield compared(
            f"{what}, {BATCH} images", "torchvision", [counts["ours"]], [counts["torchvision"]], "waits", agree=note
        )
        for side, waits in found.items():
            for place, count in waits.most_common():
                print(f"    {side} {count:3d} {place}")


if __name__ == "__main__":
    main(__doc__, measure)
