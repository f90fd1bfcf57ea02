"""The page about Python: every example is executed, in its order, on a small folder and with a small network."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from killed_runs import SHORT
from labelme_files import SIZE, shape, write_labels
from PIL import Image as PilImage

import instseg
from instseg.app import load
from instseg.app.compose import run_stage

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
SMALL = [
    *(override for override in SHORT if not override.startswith("dataset.")),
    "model.backbone=resnet18_half", "model.weights=none", "trainer.max_epochs=1",
    "trainer.limit_train_batches=1",
]  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with what the page speaks of: labelled images, an image, and a folder of images."""
    for number in range(12):
        write_labels(tmp_path / "my_folder", f"{number}", shape("car"), shape("dog", [[1, 1], [5, 1], [5, 5]]))
        noise = np.random.default_rng(number).integers(0, 256, (*SIZE, 3), np.uint8)  # no near duplicates
        PilImage.fromarray(noise).save(tmp_path / "my_folder" / f"{number}.png")
    for name in ("image.jpg", "images/1.jpg", "images/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        PilImage.fromarray(np.full((48, 64, 3), 99, np.uint8)).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_every_example_of_the_page_works(place, monkeypatch, capsys):
    def run_small(overrides, config_dir=None):
        return run_stage([*overrides, *(() if "stage=audit" in overrides else SMALL)], config_dir)

    monkeypatch.setattr("instseg.api.run_stage", run_small)
    monkeypatch.setitem(load.LOADERS, "coco", lambda request: instseg.load("latest"))  # else it would be downloaded
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=SimpleNamespace))
    names: dict[str, object] = {}
    for example in EXAMPLES:
        exec(compile(example, str(PAGE), "exec"), names)
    assert names["model"].categories == ("car", "dog")
    assert names["best_lr"] in (0.001, 0.004)
    assert {path.name for path in place.iterdir()} >= {"out", "out2", "out3", "overlay.png"}
    assert names["page"].is_file()
    assert "optimizer.lrr: there is no such key. Did you mean optimizer.lr?" in capsys.readouterr().out


def test_the_page_has_examples_of_every_function():
    shown = "".join(EXAMPLES)
    assert all(f"instseg.{name}" in shown for name in instseg.__all__ if name[0].islower())
