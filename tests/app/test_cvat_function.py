"""The function for CVAT's client, called by the package of CVAT itself, which checks what it returns."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from colour_finder import FindsColours, photo
from PIL import Image as PilImage
from tiny_checkpoint import write_tiny_checkpoint

from instseg.data.transforms.resize import Resize
from instseg.prediction.model import Model
from instseg.prediction.predictor import Predictor
from instseg.prediction.torch_network import TorchNetwork

masks = pytest.importorskip("cvat_sdk.masks", reason='needs pip install "instseg[cvat]"')
driver = pytest.importorskip("cvat_sdk.auto_annotation.driver")

from instseg.app.cvat_function import CvatFunction, create  # noqa: E402  (imports the package that may be absent)

IMAGE = PilImage.fromarray(photo(96, 128, red=(16, 32, 64, 80), blue=(80, 8, 120, 40)))


@pytest.fixture(scope="module")
def function() -> CvatFunction:
    predictor = Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(96, 128))
    return CvatFunction(Model(predictor, {}, dict))


def uploaded(function: CvatFunction, monkeypatch: pytest.MonkeyPatch, **wishes: object) -> list:
    """The shapes that CVAT's client would upload to a task with one image, whose labels have numbers of their own."""
    labels = [SimpleNamespace(name=name, id=number, type="any", sublabels=[], attributes=[])
              for number, name in enumerate(("blue thing", "red thing"), start=70)]  # fmt: skip
    sample = SimpleNamespace(frame_name="a.png", frame_index=5, media=SimpleNamespace(load_image=lambda: IMAGE))
    monkeypatch.setattr(driver, "TaskDataset", lambda *_, **__: SimpleNamespace(labels=labels, samples=[sample]))
    sent = []
    api = SimpleNamespace(update_annotations=lambda task, labeled_data_request: sent.append(labeled_data_request))
    client = SimpleNamespace(logger=logging.getLogger("cvat"), tasks=SimpleNamespace(api=api))
    driver.annotate_task(client, 137, function, clear_existing=True, **wishes)
    return sent[0].shapes


def test_the_masks_that_are_uploaded_have_the_labels_of_the_task(function, monkeypatch):
    red, blue = uploaded(function, monkeypatch)
    assert (red.label_id, blue.label_id, red.frame, red.type.value) == (71, 70, 5, "mask")
    mask = masks.decode_mask(red.points, image_width=128, image_height=96)
    assert mask[32:80, 16:64].all() and mask.sum() == 48 * 48


def test_the_client_chooses_polygons_and_the_threshold(function, monkeypatch):
    (red,) = uploaded(function, monkeypatch, conf_threshold=0.7, conv_mask_to_poly=True)
    assert red.type.value == "polygon"
    assert {*zip(red.points[::2], red.points[1::2], strict=True)} == {(16, 32), (64, 32), (64, 80), (16, 80)}


def test_the_client_makes_it_from_what_is_typed(tmp_path):
    made = create(checkpoint=str(write_tiny_checkpoint(tmp_path / "best.ckpt", "labelme")), device="cpu")
    assert [label.name for label in made.spec.labels] == ["car", "dog"]
