"""Networks on backbones of other libraries, with the commands that a user types: train, resume, predict."""

from __future__ import annotations

import pytest
import torch
from factories import SHARED
from typed_commands import QUICK, Command

TINY = (
    *QUICK, "batch_size=2", "dataset.num_images={train: 4, val: 2, test: 2}", "trainer.max_epochs=1",
    "trainer.accelerator=cpu",
)  # fmt: skip
NO_WEIGHTS = "model.weights=none"
WEIGHTS = SHARED.parent / "weights" / "mobilenet_v2_features_imagenet.pth"
MODELS = {
    "mobilenet": ("model=mobilenet_fpn", f"model.weights={WEIGHTS if WEIGHTS.is_file() else 'none'}"),
    "swin": ("model=mobilenet_fpn", "model.backbone.name=swin_t", NO_WEIGHTS),
    "convnext": ("model=convnext_fpn", NO_WEIGHTS),
    "timm": ("model=timm_fpn", "model.backbone.name=test_convnext", NO_WEIGHTS),
}


@pytest.mark.slow
@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
def test_its_checkpoint_resumes_and_predicts(options, tmp_path):
    places = (f"outputs={tmp_path}/outputs", f"cache_dir={tmp_path}/data")
    run = Command([*options, *TINY, *places]).succeed().last_line
    Command([f"resume={run}", "trainer.max_epochs=2"]).succeed()
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 1
    source = [f"checkpoint={run}", f"source={tmp_path}/data", "limit=2", "device=cpu", f"output={tmp_path}/out"]
    Command(source, script="predict.py").succeed()
    assert (tmp_path / "out/predictions.json").is_file()
