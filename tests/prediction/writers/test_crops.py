"""Instances cut out of their images."""

import numpy as np
from export_factories import RING, TWO_PARTS, export, predicted
from factories import make_picture
from PIL import Image as PilImage

from instseg.prediction.writers.crops import Crops


def test_a_crop_is_the_box_of_an_instance_and_transparent_around_its_mask(tmp_path):
    export(Crops, tmp_path, {"more/a.png": predicted(RING, TWO_PARTS)})
    crop = np.asarray(PilImage.open(tmp_path / "out/crops/more/a/01_car_0.90.png"))
    np.testing.assert_array_equal(crop[..., 3], RING[1:4, 1:5] * 255)
    np.testing.assert_array_equal(crop[..., :3], make_picture(RING.shape)[1:4, 1:5])
    assert PilImage.open(tmp_path / "out/crops/more/a/02_traffic_sign_0.80.png").size == (8, 6)


def test_an_image_without_instances_has_no_crops(tmp_path):
    export(Crops, tmp_path, {"a.png": predicted()})
    assert not (tmp_path / "out/crops").exists()
