"""The page about using a model: every command and every example is executed, in its order, in a small folder.

But for what needs something else than this machine: a page of the web is a file here, and nothing is piped or filmed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from documented import ROOT, commands_of
from killed_runs import SHORT
from labelme_files import SIZE, shape, write_labels
from moving_discs import film, write_video
from PIL import Image as PilImage
from typed_commands import Command

from instseg.core.segmenter import as_module
from instseg.models.mask_rcnn import build_mask_rcnn

PAGE = ROOT / "docs" / "using_the_model.md"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INSTALLED = re.compile(r'pip install "instseg\[(\w+)\]"')
SMALL = [
    *(override for override in SHORT if not override.startswith("dataset.")),
    "model.backbone=resnet18_half", "model.norm=bn", "trainer.max_epochs=1", "trainer.limit_train_batches=1",
]  # fmt: skip
HERE = {"source=https://example.org/a.jpg": "source=image.jpg", "weights=coco": "checkpoint=latest"}
TRAINED = ["train", "dataset=auto", "dataset.root=my_folder", "model.weights=none", *SMALL]


def blocks() -> Iterator[tuple[str, str]]:
    for found in BLOCK.finditer(PAGE.read_text()):
        yield found[1], found[2]


def typed(place: Path, *arguments: str) -> None:
    """Run a command of the page; a training in small, and what needs a download with the model of that training."""
    if not {"source=camera:0", "source=-"}.isdisjoint(arguments):
        return
    given = [word for word in arguments if word != "model=r50fpn" or "weights=coco" not in arguments]
    changed = [HERE.get(word, word) for word in given]
    changed += SMALL if arguments[0] == "train" else ["overwrite=true"] * (arguments[0] == "predict")
    Command(changed, script="src/instseg/__main__.py", folder=place).succeed()


def correct(file: Path) -> None:
    """Draw an object that the model has not found, as a person does."""
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "shapes": [*content["shapes"], shape("car")]}))


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with what the page speaks of: labelled images, other images, and a checkpoint for torchvision."""
    for number in range(12):
        write_labels(tmp_path / "my_folder", f"{number}", shape("car"), shape("dog", [[1, 1], [5, 1], [5, 5]]))
        noise = np.random.default_rng(number).integers(0, 256, (*SIZE, 3), np.uint8)  # no near duplicates
        PilImage.fromarray(noise).save(tmp_path / "my_folder" / f"{number}.png")
    for name in ("image.jpg", "street.jpg", "images/1.jpg", "images/2.jpg", "unlabelled/1.png", "scans/1.png",
                 "aerial.tif", "stack.tif", "colony.png", "worms/1.png", "frames/1.png", "frames/2.png"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        PilImage.fromarray(np.full((48, 64, 3), 99, np.uint8)).save(tmp_path / name)
    write_video(tmp_path / "clip.mp4", film(3, red=lambda frame: (30 + frame, 40)))
    network = as_module(build_mask_rcnn(("car", "dog"), weights="coco", load=False))
    weights = {f"model.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": weights, "instseg": {"categories": ["car", "dog"]}}, tmp_path / "best.ckpt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_block_of_the_page_works(place):
    typed(place, *TRAINED)
    names: dict[str, object] = {}
    for kind, block in blocks():
        if kind == "python":
            exec(compile(block, str(PAGE), "exec"), names)
        for arguments in commands_of(f"```bash\n{block}```") if kind == "bash" else ():
            if arguments[0] == "train":
                correct(place / "labels/labelme/1.json")
            typed(place, *arguments)
    assert {path.name for path in place.iterdir()} >= {
        "out", "model.onnx", "model.onnx.md", "model.xml", "model.bin", "model_int8.xml", "model.pt2",
    }  # fmt: skip


def test_what_the_page_installs_is_an_extra_of_the_package():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = INSTALLED.findall(PAGE.read_text())
    assert {"onnx", "openvino", "int8"} <= set(named) <= set(extras)
