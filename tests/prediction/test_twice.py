"""Two looks at an image: what is found on the mirrored one lies where it does on the image itself."""

import numpy as np
import torch
from colour_finder import FindsColours, photo
from pycocotools import mask as coco_mask

from instseg.checkpoints.operating_points import OperatingPoints, StoredRecalibration
from instseg.core.recalibration import Isotonic
from instseg.data.transforms.resize import Resize
from instseg.models.feature_pyramid import mean_features
from instseg.models.mask_rcnn import build_mask_rcnn
from instseg.prediction.predictor import Predictor
from instseg.prediction.torch_network import TorchNetwork
from instseg.prediction.twice import has_features, look_twice

PHOTOS = [photo(64, 96, red=(8, 16, 40, 48)), photo(96, 64, red=(0, 8, 24, 32), blue=(40, 40, 64, 64))]
"""Of two sizes, so that a batch of both is padded."""


def test_both_looks_find_the_same_objects_in_images_of_any_size():
    looks = look_twice(Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(64, 96)), PHOTOS, [1, 2])
    assert [look.found.labels.tolist() for look in looks] == [[1], [1, 2]]
    for look in looks:
        np.testing.assert_array_equal(look.mirrored.boxes, look.found.boxes)
        for one, other in zip(look.found.rles, look.mirrored.rles, strict=True):
            assert coco_mask.iou([one], [other], [0])[0, 0] > 0.95  # pixels half covered are rounded one way


def test_scores_are_recalibrated_as_the_checkpoint_says_in_either_look_as_in_a_prediction():
    halved = StoredRecalibration(Isotonic((0.0, 1.0), (0.0, 0.5)), 0.3, 0.1)
    plain, recalibrating = (
        Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(64, 96), points)
        for points in (None, OperatingPoints("f1", 1, [], halved))
    )
    (before,) = plain.predict_images(PHOTOS[1:])
    (look,) = look_twice(recalibrating, PHOTOS[1:], [1])
    expected = before.scores * (0.99 * 0.5 + 0.01)
    for found in (look.found, look.mirrored, *recalibrating.predict_images(PHOTOS[1:])):
        np.testing.assert_allclose(found.scores, expected, rtol=1e-6)


def test_a_network_without_features_has_the_colours_of_the_image():
    predictor = Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(64, 96))
    first, second = (look.features for look in look_twice(predictor, PHOTOS, [1, 2]))
    assert not has_features(predictor) and first.shape == second.shape == (192,)


def test_mask_rcnn_describes_images_by_its_backbone_and_finds_what_it_finds_without():
    torch.manual_seed(0)
    small = {"fpn_channels": 8, "box": {"head_channels": 8}, "mask": {"channels": 8, "num_convs": 1}}
    model = build_mask_rcnn(2, backbone="resnet18_half", norm="gn", **small)
    predictor = Predictor(TorchNetwork(model, "cpu"), Resize(64, 96))
    (look,) = look_twice(predictor, PHOTOS[:1], [1])
    assert has_features(predictor) and look.features.shape == (256,)
    np.testing.assert_array_equal(look.found.boxes, predictor.predict_images(PHOTOS[:1])[0].boxes)


def test_the_padding_of_an_image_is_no_part_of_its_features():
    stage = torch.tensor([[[[1.0, 3.0, 9.0], [9.0, 9.0, 9.0]]]])
    assert mean_features(stage, [(32, 64)], 32).tolist() == [[2.0]]
