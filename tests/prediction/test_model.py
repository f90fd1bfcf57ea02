"""A model in Python: images of any kind in, results out, with a network that finds exactly the red pixels."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import torch
from colour_finder import FindsColours, photo, write_photos
from export_factories import all_writers
from PIL import Image as PilImage

from instseg.checkpoints.operating_points import OperatingPoints, StoredPoint, stored_estimate
from instseg.core.errors import InstsegError
from instseg.data.transforms.resize import Resize
from instseg.prediction.model import Model
from instseg.prediction.predictor import Predictor
from instseg.prediction.result import Result, Results
from instseg.prediction.torch_network import TorchNetwork

PHOTO = photo(192, 256, red=(16, 32, 64, 96))


@pytest.fixture
def model() -> Model:
    return Model(Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(96, 128)), {"weights": "by hand"}, all_writers)


@pytest.fixture
def file(tmp_path):
    PilImage.fromarray(PHOTO).save(tmp_path / "red.png")
    return tmp_path / "red.png"


def pillow_from_memory() -> PilImage.Image:
    file = io.BytesIO()
    PilImage.fromarray(PHOTO).save(file, "PNG")
    return PilImage.open(file)


def test_it_says_what_it_is(model):
    assert model.categories == ("red thing", "blue thing")
    assert repr(model) == "Model(by hand, 2 categories: red thing, blue thing, on cpu)"


def test_images_of_16_bits_are_scaled_as_in_training(tmp_path):
    trained = Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(96, 128), value_range=(0, 255 * 8))
    model = Model(trained, {"weights": "by hand"}, all_writers)
    deep, expected = PHOTO.astype(np.uint16) * 8, model.predict(PHOTO)
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    for image in (deep, tmp_path / "deep.png"):
        assert model.predict(image).boxes.tolist() == expected.boxes.tolist() != []
    ((_, image, _),) = trained.predict_files([tmp_path / "deep.png"])
    np.testing.assert_array_equal(image, PHOTO)


def test_one_image_of_any_kind_gives_one_and_the_same_result(model, file):
    expected = model.predict(PHOTO)
    assert isinstance(expected, Result) and expected.names == ("red thing",)
    tensor = torch.from_numpy(PHOTO).permute(2, 0, 1)
    for image in (
        file, str(file), PilImage.open(file), pillow_from_memory(), PHOTO / 255, tensor, tensor / 255,
        (tensor / 255).half(), torch.from_numpy(PHOTO).permute(2, 0, 1).requires_grad_(False),
    ):  # fmt: skip
        result = model.predict(image)
        np.testing.assert_array_equal(result.boxes, expected.boxes)
        assert result.rles == expected.rles


def test_a_list_of_mixed_kinds_gives_as_many_results_in_its_order(model, file):
    blank = photo(64, 48)
    images = [blank, file, PilImage.open(file), blank / 255]
    for batch_size in (1, 2, 3, 10):
        results = model.predict(images, batch_size=batch_size)
        assert isinstance(results, Results)
        assert [len(result) for result in results] == [0, 1, 1, 0]
        assert [result.source.name for result in results] == ["image_1.png", "red.png", "image_3.png", "image_4.png"]
        assert [result.image_size for result in results] == [(64, 48), (192, 256), (192, 256), (64, 48)]
    assert [len(result) for result in model.predict(image for image in images)] == [0, 1, 1, 0]
    assert model.predict([]) == []


def test_a_folder_is_predicted_as_a_person_counts(model, tmp_path):
    results = model.predict_folder(write_photos(tmp_path / "photos"))
    assert [result.source.path.relative_to(tmp_path / "photos").as_posix() for result in results] == [
        "1.png", "2.PNG", "10.png", "more/1.png",
    ]  # fmt: skip
    assert len(model.predict_folder(f"{tmp_path}/photos/1*.png")) == 2


def test_the_score_threshold_leaves_instances_out(model):
    both = photo(192, 256, red=(16, 32, 64, 96), blue=(100, 100, 150, 150))
    counts = [len(model.predict(both, score_threshold=threshold)) for threshold in (0.5, 0.7, 0.95)]
    assert counts == [2, 1, 0]


def test_without_a_threshold_each_category_has_that_of_the_model(model):
    both = photo(192, 256, red=(16, 32, 64, 96), blue=(100, 100, 150, 150))
    assert model.thresholds == {"red thing": 0.5, "blue thing": 0.5}
    model._predictor.operating_points = OperatingPoints(
        "precision:0.9", 9, [StoredPoint("blue thing", *[stored_estimate(0.7, 0.6, 0.8)] * 4, is_reached=True)]
    )
    assert model.thresholds == {"red thing": 0.5, "blue thing": 0.7}
    assert model.predict(both).names == ("red thing",)
    assert model.predict(both, score_threshold={"blue thing": 0.6}).names == ("red thing", "blue thing")
    assert model.predict(both, score_threshold=model.thresholds | {"red thing": 1}).names == ()


def test_the_image_of_a_result_is_the_one_that_was_given(model, file):
    for image in (file, PHOTO):
        np.testing.assert_array_equal(model.predict(image).image, PHOTO)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("gone.jpg", r"^gone.jpg: no such file in /"),
        ("https://example.org/a.jpg", "no such file; a URL has to be downloaded first"),
        (".", r"a folder, expected an image; .*model.predict_folder"),
        (None, "expected a path, .* or a list of these, found NoneType"),
        (b"bytes", "or a list of these, found bytes"),
        ({"a": PHOTO}, "or a list of these, found dict"),
        (torch.zeros(192, 256, 3), r"torch.float32 tensor of \(192, 256, 3\): .*image.permute\(2, 0, 1\)"),
        ([PHOTO, "gone.jpg"], "^image 2 of 2: gone.jpg: no such file"),
        ([PHOTO, 3, PHOTO], "^image 2 of 3: expected a path.*found int"),
        (np.zeros((2, 64, 64, 3), np.uint8), r"list\(images\)"),
    ],
)
def test_what_is_no_image_is_named_before_any_work(model, given, message):
    with pytest.raises(InstsegError, match=message):
        model.predict(given)
    assert model._predictor.network.model.seen_shapes == []


def test_a_damaged_file_is_named(model, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    with pytest.raises(InstsegError, match=r"broken.jpg: not an image"):
        model.predict(tmp_path / "broken.jpg")


@pytest.mark.parametrize(
    "option", [{"score_threshold": 50}, {"score_threshold": -0.1}, {"batch_size": 0}, {"batch_size": "2"}]
)
def test_options_out_of_range_are_refused(model, option):
    (name,) = option
    with pytest.raises(InstsegError, match=f"{name}=.*: expected"):
        model.predict([PHOTO], **option)
    with pytest.raises(InstsegError, match=f"{name}=.*: expected"):
        model.predict(PHOTO, **option)
