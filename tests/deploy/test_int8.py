"""Export in int8: what it loses is measured with its interval, and a file that loses too much is not written."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import perfect_network
import pytest
import torch
from deploy_factories import trained_model

from instseg.core.errors import InstsegError
from instseg.core.types import Prediction
from instseg.data.transforms.resize import Resize
from instseg.deploy.card import card
from instseg.deploy.export import Comparison, Int8, export, refuse_if_worse
from instseg.deploy.measured import ApComparison, compare_ap
from instseg.deploy.trial_images import made_images, trial_images
from instseg.evaluation.estimates import Estimate
from instseg.prediction.exported import open_exported

FILE = Path("model_int8.xml")


class Finds:
    """A network that finds what is labelled on the first images, and nothing on the others."""

    categories, device = perfect_network.CATEGORIES, "cpu"

    def __init__(self, num_images: int) -> None:
        self.num_images = num_images

    def predict(self, images, image_ids, original_sizes) -> list[Prediction]:
        (found,) = perfect_network.PerfectNetwork().predict(perfect_network.batch(image_ids[0]))
        return [found if image_ids[0] < self.num_images else found.select(np.zeros(len(found), bool))]


def test_the_difference_of_ap_has_the_interval_of_a_paired_bootstrap():
    batches = [perfect_network.batch(number) for number in range(40)]
    ap = compare_ap(batches, Finds(40), Finds(30), with_interval=True)
    assert ap.difference is not None
    assert ap.difference.value == pytest.approx(ap.found - ap.reference)
    assert -0.5 < ap.difference.low < ap.difference.value < ap.difference.high < 0
    equal = compare_ap(batches, Finds(30), Finds(30), with_interval=True).difference
    assert equal is not None
    assert (equal.value, equal.low, equal.high) == (0, 0, 0)  # paired: images draw no difference of their own
    assert compare_ap(batches, Finds(40), Finds(30)).difference is None


@pytest.mark.parametrize("found, limit", [(0.391, 0.01), (0.45, 0.01), (0.0, None), (0.0, 1.0)])
def test_a_file_in_int8_may_lose_what_is_accepted(found, limit):
    refuse_if_worse(FILE, ApComparison(0.4, found, 10, Estimate(found - 0.4, -0.5, 0.1)), limit)


@pytest.mark.parametrize("found", [0.389, math.nan])
def test_a_file_in_int8_that_loses_more_is_refused_with_the_interval(found):
    ap = ApComparison(0.4, found, 10, Estimate(-0.011, -0.02, 0.001))
    with pytest.raises(
        InstsegError, match=r"loses more than max_ap_loss=0\.01: test AP 0\.4000 in PyTorch, .*null any"
    ):
        refuse_if_worse(FILE, ap, 0.01)
    with pytest.raises(InstsegError, match=r"a difference of -0\.011 \(-0\.020 to 0\.001\)"):
        refuse_if_worse(FILE, ap, 0.01)


def test_where_nothing_can_be_measured_the_loss_must_be_accepted_before_anything_is_written(tmp_path):
    with pytest.raises(InstsegError, match="quantize=int8: no test images to measure what it loses on"):
        export(trained_model(), "openvino", tmp_path / FILE, Comparison([]), Int8(made_images(1), 0.01))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_layers_of_a_file_are_in_int8_and_what_follows_them_is_not(tmp_path):
    torch.manual_seed(0)
    trained = replace(trained_model(), identity={})
    calibration = [Resize(96, 128)(image) for image in made_images(4)]
    images = list(trial_images(made_images(2), 96, 128))
    exported = export(trained, "openvino", tmp_path / FILE, Comparison(images), Int8(calibration, None))
    network, record = open_exported(tmp_path / FILE, "cpu")
    assert record.quantized == "int8"
    assert exported.gain is not None
    assert exported.gain.bytes_after < exported.gain.bytes_before / 2
    assert exported.gain.bytes_after == exported.num_bytes
    assert "as openvino in int8" in card(exported, "made images")
    assert len(network.find(images[0][1]).scores) == 20
    content = (tmp_path / FILE).read_text()
    quantized = {name.split('name="')[1].split('"')[0] for name in content.split("<layer ") if "FakeQuantize" in name}
    for part in ("backbone", "box_head", "mask_head"):
        assert any(part in name for name in quantized), part
