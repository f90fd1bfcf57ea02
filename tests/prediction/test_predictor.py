"""Photos in, predictions out, with a network that finds exactly the red pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from colour_finder import CATEGORIES, FindsColours, photo, write_photos
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.core.masks import rle_area, rle_to_box
from instseg.data.transforms.resize import Resize
from instseg.models.mask_rcnn import build_mask_rcnn
from instseg.prediction.predictor import Predictor
from instseg.prediction.torch_network import TorchNetwork, choose_device


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(96, 128))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


def test_predictions_are_in_the_pixels_of_each_photo_whatever_its_size(predictor):
    images = [photo(192, 256, red=(16, 32, 64, 96)), photo(400, 100, blue=(20, 200, 60, 300)), photo(48, 64)]
    first, second, third = predictor.predict_images(images, image_ids=[5, 6, 7])
    np.testing.assert_allclose(first.boxes, [[16, 32, 64, 96]], atol=2)
    np.testing.assert_allclose(rle_to_box(first.rles[0]), [16, 32, 64, 96], atol=3)
    assert rle_area(first.rles[0]) == pytest.approx(48 * 64, rel=0.1)
    np.testing.assert_allclose(second.boxes, [[20, 200, 60, 300]], atol=4)
    assert (second.labels.tolist(), second.rles[0]["size"]) == ([2], [400, 100])
    assert len(third) == 0 and third.image_size == (48, 64)
    assert [p.image_id for p in (first, second, third)] == [5, 6, 7]


def test_the_batch_is_padded_to_what_the_network_can_halve_five_times(predictor):
    predictor.predict_images([photo(192, 256), photo(256, 192)])
    assert predictor.network.model.seen_shapes == [(2, 3, 128, 128)]
    assert predictor.predict_images([]) == []


def test_files_come_in_order_and_damaged_ones_are_left_out_and_named(predictor, photos):
    (photos / "3.jpg").write_bytes(b"no photo")
    paths = [photos / "1.png", photos / "3.jpg", photos / "gone.png", photos / "10.png"]
    results = list(predictor.predict_files(paths, batch_size=2, num_threads=2))
    assert [path.name for path, _, _ in results] == ["1.png", "10.png"]
    assert [prediction.image_id for *_, prediction in results] == [1, 4]
    assert [(path.name, reason[:12]) for path, reason in predictor.unreadable] == [
        ("3.jpg", "not an image"),
        ("gone.png", "no such file"),
    ]


def test_photos_are_predicted_upright(predictor, tmp_path):
    exif = PilImage.Exif()
    exif[0x0112] = 6
    PilImage.fromarray(np.rot90(photo(192, 256, red=(16, 32, 64, 96)))).save(tmp_path / "turned.png", exif=exif)
    ((_, image, prediction),) = predictor.predict_files([tmp_path / "turned.png"])
    assert image.shape == (192, 256, 3)
    np.testing.assert_allclose(prediction.boxes, [[16, 32, 64, 96]], atol=2)


def test_whoever_stops_early_leaves_no_thread_working(predictor, photos):
    results = predictor.predict_files([photos / "1.png"] * 500, num_threads=1)
    next(results)
    results.close()
    assert len(predictor.network.model.seen_shapes) == 1


def test_a_device_that_is_not_there_is_refused_with_a_way_out():
    assert choose_device("cpu") == torch.device("cpu")
    for name in ("cuda:77", "toaster"):
        with pytest.raises(InstsegError, match=rf"device={name} .*device=cpu"):
            choose_device(name)


def test_an_untrained_network_of_ours_predicts_on_photos_of_two_shapes():
    torch.manual_seed(0)
    options = {"box": {"score_threshold": 0.0, "detections_per_image": 5}, "fpn_channels": 32}
    model = build_mask_rcnn(CATEGORIES, backbone="resnet18", **options)
    network = TorchNetwork(model, "cpu", "32-true")
    found = Predictor(network, Resize(64, 96)).predict_images([photo(60, 80), photo(120, 70)])
    assert [(len(p), p.image_size) for p in found] == [(5, (60, 80)), (5, (120, 70))]
    assert all(rle["size"] == [120, 70] for rle in found[1].rles)
