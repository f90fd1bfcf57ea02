"""Categories that the source of an image has not labelled: a RoI without an instance may show one of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from instseg.core.categories import Categories
from instseg.core.types import Target
from instseg.models.losses import with_background_of_unlabelled
from instseg.models.mask_rcnn import MaskRCNN, build_mask_rcnn

CAR, DOG = 1, 2
LOGITS = torch.tensor([[0.5, 1.0, 2.0], [0.5, 1.0, 2.0], [0.5, 1.0, 2.0]])
DOG_IS_NOT = torch.tensor([[False, False, True]] * 3)


def loss_and_gradient(label: int, unlabelled: Tensor) -> tuple[float, list[float]]:
    logits = LOGITS[:1].clone().requires_grad_()
    labels = torch.tensor([label])
    loss = F.cross_entropy(with_background_of_unlabelled(logits, labels, unlabelled[:1]), labels)
    (gradient,) = torch.autograd.grad(loss, logits)
    return loss.item(), gradient[0].tolist()


def test_the_background_is_itself_or_any_category_that_is_not_labelled():
    probabilities = LOGITS[0].softmax(0)
    loss, (of_background, of_car, of_dog) = loss_and_gradient(0, DOG_IS_NOT)
    assert loss == pytest.approx(-(probabilities[0] + probabilities[DOG]).log().item(), rel=1e-6)
    assert of_car > 0, "what is labelled is pushed down"
    assert of_background < 0 and of_dog <= 0, "what is not labelled is not"


def test_an_instance_is_of_its_category_and_of_no_other_whatever_is_labelled():
    for label in (CAR, DOG):
        labels = torch.tensor([label] * 3)
        assert torch.equal(with_background_of_unlabelled(LOGITS, labels, DOG_IS_NOT), LOGITS)


def test_images_on_which_everything_is_labelled_keep_their_numbers_to_the_last_bit():
    labels, some = torch.tensor([0, 0, CAR]), DOG_IS_NOT.clone()
    some[1:] = False
    changed = with_background_of_unlabelled(LOGITS, labels, some)
    assert torch.equal(changed[1:], LOGITS[1:]) and not torch.equal(changed[0], LOGITS[0])


@pytest.fixture(scope="module")
def network() -> MaskRCNN:
    torch.manual_seed(0)
    options = {"backbone": "resnet18_half", "weights": "none", "norm": "gn", "fpn_channels": 32,
               "box": {"head_channels": 32}, "mask": {"channels": 32, "num_convs": 1}}  # fmt: skip
    return build_mask_rcnn(Categories(("car", "dog")), **options).eval()


def losses(network: MaskRCNN, *unlabelled: Tensor | None) -> dict[str, Tensor]:
    pixels = np.random.default_rng(0).integers(0, 255, (1, 3, 128, 128), np.uint8)
    masks = torch.ones(1, 112, 112, dtype=torch.uint8)
    box, label = torch.tensor([[8.0, 8, 48, 48]]), torch.tensor([DOG])
    targets = [Target(box, label, masks, unlabelled=labels) for labels in unlabelled]
    images = torch.from_numpy(pixels).expand(len(targets), -1, -1, -1)
    with torch.no_grad():
        return network(images, [(128, 128)] * len(targets), targets)[0]


def test_a_network_that_sees_dogs_where_none_is_labelled_is_not_told_that_they_are_background(network):
    with torch.no_grad():
        network.roi_heads.box_predictor.cls_score.bias.copy_(torch.tensor([-20.0, -20, 20]))  # sure of a dog everywhere
    labelled, unlabelled = losses(network, None), losses(network, torch.tensor([DOG]))
    assert labelled["loss_classifier"] > 10 and unlabelled["loss_classifier"] < 1e-3
    assert losses(network, torch.tensor([CAR]))["loss_classifier"] > 10
    for name, loss in labelled.items():
        assert name == "loss_classifier" or torch.equal(unlabelled[name], loss), name
    assert losses(network, None, torch.tensor([DOG]))["loss_classifier"] == pytest.approx(
        labelled["loss_classifier"].item() / 2, rel=1e-4
    )
