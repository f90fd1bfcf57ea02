"""One picture for every instance."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest
from export_factories import CATEGORIES, IDENTITY, PIXEL, RING, TWO_PARTS, export, predicted
from matplotlib.figure import Figure

from instseg.core.categories import Categories
from instseg.data.reading.images import read_image
from instseg.prediction.writers.instance_pictures import InstancePictures
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage
from instseg.prediction.writers.writer import PredictionRun

SMALL, LARGE, STRIP = (6, 8), (900, 1600), (12, 900)


def test_every_instance_has_a_picture_named_after_its_rank_category_and_score(tmp_path):
    export(InstancePictures, tmp_path, {"more/a.jpg": predicted(RING, TWO_PARTS, PIXEL), "empty.png": predicted()})
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert written == [
        "instances/more/a/01_car_0.90.jpg",
        "instances/more/a/02_traffic_sign_0.80.jpg",
        "instances/more/a/03_cake_0.70.jpg",
    ]


@pytest.mark.parametrize("size", [SMALL, LARGE, STRIP], ids=str)
def test_pictures_and_letters_are_as_large_for_every_photo(tmp_path, size):
    mask = np.zeros(size, np.uint8)
    mask[2:5, 3:6] = 1
    export(InstancePictures, tmp_path, {"a.png": predicted(mask, labels=[2], scores=[0.5])})
    picture = read_image(tmp_path / "out/instances/a/01_traffic_sign_0.50.jpg")
    assert picture.shape == (600, 1080, 3)
    letters = (picture[:40] < 100).all(axis=2)
    assert letters.sum() > 1500 and letters[:, 8:400].sum() == letters.sum()


def test_the_instance_keeps_its_colours_while_all_else_is_gray(tmp_path):
    photo = np.full((80, 100, 3), (20, 60, 240), np.uint8)
    mask = np.zeros((80, 100), np.uint8)
    mask[20:60, 10:50] = 1
    mask[35:45, 25:35] = 0
    writer = InstancePictures()
    writer.start(PredictionRun(tmp_path, tmp_path, CATEGORIES, IDENTITY))
    writer.add(LoadedImage(PredictedImage("a.png", "a", predicted(mask)), photo))
    picture = read_image(tmp_path / "instances/a/01_car_0.90.jpg").astype(int)
    whole = picture[76:572, 8:628]  # the photo, scaled by 6.2
    blue = whole[..., 2] - whole[..., 0] > 150
    np.testing.assert_array_equal([blue[v * 62 // 10, 70 * 62 // 10] for v in (30, 50)], [False, False])
    assert blue[28 * 62 // 10, 15 * 62 // 10] and not blue[40 * 62 // 10, 30 * 62 // 10]  # the ring, its hole
    assert blue.mean() == pytest.approx(mask.mean(), abs=0.03)
    close_up = picture[76:592, 636:1072]
    assert (close_up[..., 2] - close_up[..., 0] > 150).mean() > 2 * blue.mean()


def test_names_that_are_no_file_names_or_formulas_are_written_as_they_are(tmp_path):
    names = Categories(("../$x_2$ car\n/a", "日本", "x" * 300))
    writer = InstancePictures()
    writer.start(PredictionRun(tmp_path / "out", tmp_path, names, IDENTITY))
    photo = PredictedImage("$a_b$.png", "$a_b$", predicted(RING, TWO_PARTS, PIXEL))
    with pytest.warns(UserWarning, match="Glyph"):
        writer.add(LoadedImage(photo, np.zeros((6, 8, 3), np.uint8)))
    written = sorted(path.name for path in (tmp_path / "out/instances/$a_b$").iterdir())
    assert written == ["01__x_2_car_a_0.90.jpg", "02_日本_0.80.jpg", f"03_{'x' * 60}_0.70.jpg"]


def test_an_instance_whose_mask_is_empty_is_still_shown_with_its_score(tmp_path):
    export(InstancePictures, tmp_path, {"a.png": predicted(np.zeros((6, 8), np.uint8))})
    assert (tmp_path / "out/instances/a/01_car_0.90.jpg").is_file()


def test_many_instances_leave_no_figure_behind(tmp_path):
    def figures() -> int:
        gc.collect()
        return sum(type(thing) is Figure for thing in gc.get_objects())

    before, pyplot = figures(), "matplotlib.pyplot" in sys.modules
    export(InstancePictures, tmp_path, {"a.png": predicted(*[PIXEL] * 8, scores=[0.9] * 8)})
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 8
    assert figures() == before
    assert ("matplotlib.pyplot" in sys.modules) == pyplot  # whose global state keeps every figure
