"""Suppression by choice: hand-drawn sticks that cross, and the same answers from a network in PyTorch and exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from colour_finder import FindsColours, photo
from deploy_factories import trained_model, untrained
from detections import CAR, DOG, prediction
from factories import drawn
from hydra import compose, initialize_config_dir
from msgspec.structs import replace as replaced
from omegaconf import DictConfig

from instseg.app.build_predictor import chosen_settings, nms_of_file
from instseg.app.check_config import checked_predict_config
from instseg.app.conf_folder import CONFIG_DIR
from instseg.core.errors import InstsegError
from instseg.core.found import Found, found_to_prediction
from instseg.core.segmenter import BoxSuppression
from instseg.core.types import Prediction
from instseg.data.transforms.resize import Resize
from instseg.deploy.candidates import leave_to_file, missing_nms
from instseg.deploy.suppression import suppress_in_torch
from instseg.deploy.trial_images import made_images
from instseg.models.mask_rcnn import MaskRCNN
from instseg.prediction.exported import ExportRecord
from instseg.prediction.nms import CANDIDATES, LOOSE, OF_NETWORK, Nms
from instseg.prediction.predictor import Predictor
from instseg.prediction.tiling import Tiling
from instseg.prediction.torch_network import TorchNetwork, leave_candidates

IMAGE = np.ascontiguousarray(made_images(1)[0][:96, :128])
BARE = ExportRecord(written_by="", format="onnx", categories=["a"], min_size=1, max_size=1)
FALLING = drawn("##......", ".##.....", "..##....", "...##...", "....##..")
RISING = drawn("....##..", "...##...", "..##....", ".##.....", "##......")
FALLING_AGAIN = drawn("##......", ".##.....", "..##....", "...##...", "........")


def found(*masks: np.ndarray, labels: list[int] | None = None) -> Prediction:
    """Detections of these masks, best first, with scores 0.9, 0.8, …."""
    scores = [0.9, 0.8, 0.7][: len(masks)]
    return prediction(1, masks, scores, labels, size=(5, 8))


def test_masks_that_cross_stay_though_their_boxes_are_one_and_duplicates_go():
    sticks = found(FALLING, RISING, FALLING_AGAIN)
    assert Nms("box", 0.5)(sticks).scores.tolist() == pytest.approx([0.9])
    assert Nms("mask")(sticks).scores.tolist() == pytest.approx([0.9, 0.8])
    assert len(Nms("mask", 0.9)(sticks)) == 3


def test_boxes_are_compared_within_their_category_unless_asked_for():
    sticks = found(FALLING, RISING, FALLING_AGAIN, labels=[CAR, DOG, DOG])
    assert Nms("box", 0.5)(sticks).labels.tolist() == [CAR, DOG]
    assert Nms("mask")(sticks).labels.tolist() == [CAR, DOG, DOG]
    assert Nms("agnostic")(sticks).labels.tolist() == [CAR]


def test_a_box_drops_only_worse_ones_that_nothing_else_has_dropped():
    first, second, third = (drawn("." * x + "####" + "." * (4 - x)) for x in (0, 1, 2))
    kept = Nms("box", 0.5)(prediction(1, [first, second, third], [0.9, 0.8, 0.7], size=(1, 8)))
    assert kept.boxes[:, 0].tolist() == [0, 2]  # IoU 0.6 of neighbours, 0.33 of the outer two


def test_soft_scores_fall_by_the_overlap_with_what_is_better():
    sticks = found(FALLING, RISING, FALLING_AGAIN, labels=[CAR, CAR, DOG])
    soft = Nms("soft", sigma=0.5)(sticks)
    assert soft.labels.tolist() == [CAR, DOG, CAR]
    assert soft.scores.tolist() == pytest.approx([0.9, 0.7, 0.8 * np.exp(-1 / 0.5)])
    assert len(Nms("soft", sigma=0.1)(sticks)) == 2  # 0.8 e^-10 is nothing


def test_of_an_image_the_best_are_kept_and_of_none_there_are_none():
    assert Nms("mask", limit=1)(found(FALLING, RISING)).scores.tolist() == pytest.approx([0.9])
    for nms in (Nms("mask"), Nms("soft"), Nms("agnostic"), Nms("box", 0.3)):
        assert len(nms(found())) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "soft", "threshold": 0.4}, "nms_threshold=0.4: expected null with nms=soft, which has nms_sigma"),
        ({"kind": "mask", "sigma": 0.4}, "nms_sigma=0.4: expected nms=soft, found nms=mask; it has nms_threshold"),
    ],
)
def test_a_parameter_of_another_kind_is_refused_with_the_right_one(wrong, message):
    with pytest.raises(InstsegError, match=message):
        Nms(**wrong)


def test_a_network_leaves_candidates_only_where_they_are_needed():
    assert [Nms(kind).needs_candidates for kind in ("box", "mask", "soft", "agnostic")] == [False, True, True, False]
    assert Nms("box", 0.3).needs_candidates
    model = untrained()
    own = leave_candidates(model, "nms=mask")
    assert own == BoxSuppression(0.5, 20)
    assert model.box_suppression == BoxSuppression(LOOSE, 20 * CANDIDATES)


def test_a_network_that_does_not_say_how_it_suppresses_is_refused():
    with pytest.raises(InstsegError, match=r"nms=mask: expected a network .* found FindsColours; nms=agnostic"):
        leave_candidates(FindsColours(), "nms=mask")


def test_objects_joined_from_tiles_are_compared_across_categories_again():
    class EachTileAnother(FindsColours):
        def find(self, image):
            seen = super().find(image)
            return replace(seen, labels=seen.labels + len(self.seen_shapes) % 2)

    network = TorchNetwork(EachTileAnother(), "cpu")
    scene = photo(64, 112, red=(40, 20, 70, 40))
    found_in_both = {
        nms.kind: len(Predictor(network, Resize(64, 64), tiling=Tiling(64, 0.4), nms=nms).predict_images([scene])[0])
        for nms in (OF_NETWORK, Nms("agnostic"))
    }
    assert found_in_both == {"box": 2, "agnostic": 1}


@pytest.fixture(scope="module")
def model() -> MaskRCNN:
    torch.manual_seed(1)
    return untrained()


@pytest.fixture(scope="module")
def from_file(model: MaskRCNN) -> tuple[ExportRecord, Prediction]:
    """The record of a file that leaves candidates, and what its graph gives for ``IMAGE``."""
    own = model.box_suppression
    record = replaced(BARE, candidates=leave_to_file(trained_model(model)))
    with torch.inference_mode():
        raw = model.as_graph(suppress_in_torch)(torch.from_numpy(IMAGE))
    model.box_suppression = own
    return record, found_to_prediction(Found(*(part.numpy() for part in raw)), (96, 128), 0, (96, 128))


@pytest.mark.parametrize("nms", [Nms("mask", 0.4), Nms("soft"), Nms("box", 0.3), Nms("agnostic"), OF_NETWORK])
def test_a_file_with_candidates_gives_the_answers_of_the_checkpoint(nms, model, from_file):
    record, candidates = from_file
    got = nms_of_file(Path("model.onnx"), record, nms)(candidates)
    own = leave_candidates(model, nms.asked) if nms.needs_candidates else model.box_suppression
    chosen = replace(nms, limit=own.per_image if nms.needs_candidates else None)
    (expected,) = Predictor(TorchNetwork(model, "cpu", "32-true"), Resize(96, 128), nms=chosen).predict_images([IMAGE])
    model.box_suppression = own
    assert len(candidates) > len(got) == len(expected) > 0
    assert got.labels.tolist() == expected.labels.tolist()
    np.testing.assert_allclose(got.boxes, expected.boxes, atol=0.05)
    np.testing.assert_allclose(got.scores, expected.scores, atol=1e-3)


def test_a_file_without_candidates_says_how_to_get_some():
    with pytest.raises(InstsegError, match=r"nms=soft: .* found in a.onnx .* export it again with candidates=true"):
        nms_of_file(Path("a.onnx"), BARE, Nms("soft"))
    assert nms_of_file(Path("a.onnx"), BARE, Nms("agnostic")) == Nms("agnostic")


def test_an_export_measures_ap_with_the_suppression_that_its_file_lacks():
    assert missing_nms(None) == OF_NETWORK
    assert missing_nms(leave_to_file(trained_model())) == Nms("box", 0.5, limit=20)


def test_what_was_chosen_stands_beside_what_was_found():
    config = checked_predict_config(composed("source=a.jpg", "checkpoint=a.ckpt", "nms=mask", "tta=flip"))
    assert chosen_settings(config) == {"nms": "mask", "tta": ["flip"]}
    assert chosen_settings(checked_predict_config(composed("source=a.jpg", "checkpoint=a.ckpt"))) == {}


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return compose("predict", overrides=[*overrides])
