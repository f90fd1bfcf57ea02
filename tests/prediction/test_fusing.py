"""Views of an image and their fusion: hand-drawn masks first, then a network that sees only what is at its left."""

from __future__ import annotations

import numpy as np
import pytest
from colour_finder import FindsColours, photo
from detections import CAR, DOG, prediction
from factories import drawn

from instseg.core.masks import bitmask_to_rle, rle_to_bitmask
from instseg.data.transforms.resize import Resize
from instseg.prediction.fusing import average_mask, fused
from instseg.prediction.predictor import Predictor
from instseg.prediction.tiling import Tiling
from instseg.prediction.torch_network import TorchNetwork
from instseg.prediction.views import View, views_of

SMALL = drawn("........", ".##.....", ".##.....", "........")
LARGER = drawn("........", ".###....", ".###....", "........")
ELSEWHERE = drawn("......##", "......##", "........", "........")


def rows(mask: np.ndarray) -> list[str]:
    return ["".join(".#"[int(pixel)] for pixel in row) for row in mask]


def test_what_all_views_show_is_one_object_with_the_averages():
    joined = fused([prediction(1, [SMALL], [0.9]), prediction(1, [LARGER], [0.6])])
    assert joined.scores.tolist() == pytest.approx([0.75])
    np.testing.assert_allclose(joined.boxes, [[1, 1, (3 * 0.9 + 4 * 0.6) / 1.5, 3]], atol=1e-5)
    assert rows(rle_to_bitmask(joined.rles[0])) == rows(SMALL)


def test_each_pixel_goes_to_the_side_with_more_weight():
    rles = [bitmask_to_rle(mask) for mask in (SMALL, LARGER, LARGER)]
    assert rows(rle_to_bitmask(average_mask(rles, [0.9, 0.5, 0.5]))) == rows(LARGER)
    assert rows(rle_to_bitmask(average_mask(rles, [0.9, 0.4, 0.4]))) == rows(SMALL)


def test_what_few_views_show_gets_a_low_score():
    nothing = prediction(1, [], [])
    joined = fused([prediction(1, [SMALL, ELSEWHERE], [0.9, 0.6]), prediction(1, [ELSEWHERE], [0.7]), nothing])
    assert joined.scores.tolist() == pytest.approx([1.3 / 3, 0.9 / 3])


def test_categories_and_what_one_view_tells_apart_are_never_joined():
    both = prediction(1, [SMALL, LARGER], [0.9, 0.8], [CAR, CAR])
    joined = fused([both, prediction(1, [SMALL], [0.7], [DOG])])
    assert sorted(joined.labels.tolist()) == [CAR, CAR, DOG]
    assert len(fused([prediction(1, [], []), prediction(1, [], [])])) == 0


def test_the_views_are_the_image_mirrored_and_at_three_sizes():
    assert views_of([]) == (View(),)
    assert views_of(["flip"]) == (View(), View(1.0, True))
    assert [view.scale for view in views_of(["scale"])] == [1.0, 0.8, 1.25]
    assert len(set(views_of(["flip", "scale"]))) == 6


def test_all_views_come_back_to_the_pixels_of_the_image():
    model = FindsColours()
    picture = photo(96, 128, red=(16, 32, 48, 64))
    network = TorchNetwork(model, "cpu")
    (found,) = Predictor(network, Resize(96, 128), views=views_of(["flip", "scale"])).predict_images([picture], [7])
    assert (found.image_id, found.image_size, found.labels.tolist()) == (7, (96, 128), [1])
    np.testing.assert_allclose(found.boxes, [[16, 32, 48, 64]], atol=1.5)
    assert found.scores.tolist() == pytest.approx([0.9])
    assert {shape[3] for shape in model.seen_shapes} == {128, 160}  # 102 px are padded to 128


def test_a_view_that_sees_less_makes_its_object_less_sure():
    class SeesTheLeftHalf(FindsColours):
        def find(self, image):
            return super().find(image[:, :, : image.shape[2] // 2])

    network = TorchNetwork(SeesTheLeftHalf(), "cpu")
    picture = photo(96, 128, red=(80, 32, 112, 64))
    found = {
        name: Predictor(network, Resize(96, 128), views=views_of(name)).predict_images([picture])[0]
        for name in ((), ("flip",))
    }
    assert len(found[()]) == 0
    assert found[("flip",)].scores.tolist() == pytest.approx([0.45])
    np.testing.assert_allclose(found[("flip",)].boxes, [[80, 32, 112, 64]], atol=1)


def test_tiles_have_views_too():
    network = TorchNetwork(FindsColours(), "cpu")
    scene = photo(64, 112, red=(40, 20, 70, 40))
    tiled = Predictor(network, Resize(64, 64), tiling=Tiling(64, 0.4), views=views_of(["flip"]))
    (found,) = tiled.predict_images([scene])
    np.testing.assert_allclose(found.boxes, [[40, 20, 70, 40]], atol=1)
