"""What torch.export captures: a file that runs no code, and a way to ONNX; slow by the size of the graphs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from deploy_factories import CATEGORIES, trained_model, untrained
from onnxscript import opset18 as op

import instseg
from instseg.core.errors import InstsegError
from instseg.deploy.agreement import compare
from instseg.deploy.export import Comparison, export
from instseg.deploy.suppression import suppress_in_torch
from instseg.deploy.trial_images import made_images, trial_images
from instseg.prediction.exported import INPUT, OUTPUTS, ExportedNetwork, open_in_runtime
from instseg.prediction.torch_network import TorchNetwork

pytestmark = pytest.mark.slow


def test_a_file_of_torch_export_is_loaded_without_what_it_might_run(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "model.pt2"
    export(trained_model(), "torch_export", path, Comparison(list(trial_images(made_images(1), 96, 128))[:-1]))
    assert b"/src/instseg" not in path.read_bytes()  # no paths of this machine
    assert len(instseg.load(path).predict(made_images(1)[0], score_threshold=0.0)) == 20
    with pytest.raises(InstsegError, match=r"device=cuda: model\.pt2 was exported for the cpu"):
        instseg.load(path, device="cuda")
    foreign = tmp_path / "foreign.pt2"  # as torch.export.save writes it, the inputs of the example pickled
    program = torch.export.export(torch.nn.ReLU(), (torch.zeros(1),))
    torch.export.save(program, foreign)
    with pytest.raises(InstsegError, match=r"foreign\.pt2 is not loaded: .*found pickled inputs"):
        instseg.load(foreign)


@torch.library.custom_op("instseg::suppress", mutates_args=())
def suppress(
    boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, score_threshold: float, limit: int
) -> torch.Tensor:
    return suppress_in_torch(boxes, scores, iou_threshold, score_threshold, limit)


@suppress.register_fake
def _(boxes, scores, iou_threshold, score_threshold, limit):
    return boxes.new_empty((torch.library.get_ctx().new_dynamic_size(),), dtype=torch.int64)


def written(boxes, scores, iou_threshold: float, score_threshold: float, limit: int):
    thresholds = (op.Constant(value_floats=[threshold]) for threshold in (iou_threshold, score_threshold))
    of_one_class = op.Unsqueeze(scores, op.Constant(value_ints=[1]))
    chosen = op.NonMaxSuppression(boxes, of_one_class, op.Constant(value_ints=[limit]), *thresholds)
    group, row = (op.Gather(chosen, op.Constant(value_int=column), axis=1) for column in (0, 2))
    return op.Add(op.Mul(group, op.Gather(op.Shape(scores), op.Constant(value_int=1), axis=0)), row)


def test_the_exporter_on_torch_export_gives_the_same_network(tmp_path: Path):
    torch.manual_seed(0)
    model = untrained()
    size = torch.export.Dim("height", max=20000), torch.export.Dim("width", max=20000)
    program = torch.export.export(
        model.as_graph(torch.ops.instseg.suppress).eval(),
        (torch.zeros(128, 160, 3, dtype=torch.uint8),),
        dynamic_shapes=({0: size[0], 1: size[1]},),
        prefer_deferred_runtime_asserts_over_guards=True,
    )
    table = {torch.ops.instseg.suppress.default: written}
    torch.onnx.export(
        program,
        f=tmp_path / "model.onnx",
        custom_translation_table=table,
        input_names=[INPUT],
        output_names=list(OUTPUTS),
    )
    found = ExportedNetwork(open_in_runtime(tmp_path / "model.onnx", "cpu"), CATEGORIES)
    reference = TorchNetwork(model, "cpu", "32-true")
    for name, image in list(trial_images(made_images(1), 96, 128))[:-1]:
        pair = [network.predict([image], [0], [image.shape[:2]])[0] for network in (reference, found)]
        assert compare(name, *pair).problem == ""
