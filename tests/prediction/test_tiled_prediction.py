"""Large images in tiles, with a network that finds exactly the red and the blue pixels of what it sees."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from colour_finder import CATEGORIES, FindsColours, photo
from PIL import Image as PilImage
from rich.console import Console

from instseg.core.masks import rle_area, rle_to_bitmask
from instseg.data.reading import tiff_windows
from instseg.data.reading.images import read_image
from instseg.data.reading.tiff_windows import open_windows
from instseg.data.transforms.resize import Resize
from instseg.prediction.model import Model
from instseg.prediction.output import OutputOptions, write_predictions
from instseg.prediction.predictor import Predictor
from instseg.prediction.tiles_shown import note_on_shrunk
from instseg.prediction.tiling import Tiling, scale_of
from instseg.prediction.torch_network import TorchNetwork
from instseg.prediction.writers import predicted_image
from instseg.prediction.writers.crops import Crops
from instseg.prediction.writers.overlays import Overlays
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage
from instseg.prediction.writers.tables import Csv

SCENE = photo(200, 300, red=(20, 60, 250, 90), blue=(150, 120, 180, 140))


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(64, 64), tiling=Tiling(64, 0.25))


@pytest.fixture
def large_tiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TIFF that counts as large."""
    monkeypatch.setattr(tiff_windows, "LEAST_PIXELS", 1000)
    PilImage.fromarray(SCENE).save(tmp_path / "scene.tif", compression="tiff_deflate")
    return tmp_path / "scene.tif"


def test_an_object_over_many_tiles_is_one_and_nothing_is_found_twice(predictor):
    (found,) = predictor.predict_images([SCENE], image_ids=[3])
    assert (found.labels.tolist(), found.image_id, found.image_size) == ([1, 2], 3, (200, 300))
    np.testing.assert_allclose(found.boxes, [[20, 60, 250, 90], [150, 120, 180, 140]], atol=2)
    assert 230 * 30 <= rle_area(found.rles[0]) <= 232 * 32  # the network draws a rim of a pixel


def test_tiles_are_seen_at_their_own_scale_and_as_many_at_once_as_a_batch_holds(predictor):
    predictor.predict_images([SCENE], batch_size=4)
    assert {shape[2:] for shape in predictor.network.model.seen_shapes} == {(64, 64)}
    assert max(shape[0] for shape in predictor.network.model.seen_shapes) == 4


def test_a_small_image_of_the_same_batch_is_predicted_whole(predictor):
    small = photo(64, 64, red=(10, 10, 30, 30))
    large, found = predictor.predict_images([SCENE, small])
    assert (large.image_size, found.image_size, len(found)) == ((200, 300), (64, 64), 1)


def test_auto_leaves_an_image_whole_that_is_not_shrunk_far_below_the_scale_of_training():
    resize, tiling = Resize(100, 160), Tiling(100, 0.2, below=2 / 3 * 0.9, trained=1.0)
    assert scale_of((160, 160), resize) == pytest.approx(0.625) and tiling.tiles((160, 160), resize) == []
    assert len(tiling.tiles((400, 400), resize)) == 25
    assert tiling.scale(resize) == 1
    assert tiling.reason((400, 400), resize) == (
        "25 of 100 px at a scale of 1 for 400 x 400 px; whole it would be shrunk to 0.25, in training images had 1"
    )


def test_a_run_says_once_how_many_images_were_shrunk_far_below_the_scale_of_training():
    auto, resize = Tiling(100, 0.2, below=0.6, trained=1.0), Resize(100, 160)
    assert note_on_shrunk(auto, resize, [(100, 160), (160, 160)]) == []
    assert note_on_shrunk(auto, resize, [(100, 160), (400, 400), (800, 400)]) == [
        "2 images of 3 were predicted at a scale of 0.2 to 0.25, where training had 1: small objects are missed there; "
        "tile=auto predicts such images in tiles"
    ]


@pytest.mark.parametrize(("tiling", "notes"), [(None, 1), (Tiling(64, 0.25), 0)])
def test_the_note_stands_with_the_counts_where_no_tiles_were_asked_for(tiling, notes, tmp_path):
    PilImage.fromarray(SCENE).save(tmp_path / "scene.png")
    whole = Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(64, 64), tiling=tiling)
    whole.advised = Tiling(64, 0.2, below=0.6, trained=1.0)
    options = OutputOptions(save="csv")
    summary = write_predictions(
        whole, tmp_path / "scene.png", tmp_path / "out", {"csv": Csv()}, options, console=Console(file=io.StringIO())
    )
    assert (
        sum("1 image of 1 was predicted at a scale of 0.21" in note for note in summary.notes)
        == len(summary.notes)
        == notes
    )


@pytest.mark.parametrize("kind", ["rgb", "gray", "16 bits"])
def test_windows_of_a_large_tiff_have_the_pixels_of_the_whole(kind, large_tiff):
    values = {"rgb": SCENE, "gray": SCENE[..., 0], "16 bits": SCENE[..., 0].astype(np.uint16) * 13}[kind]
    PilImage.fromarray(values).save(large_tiff, compression="tiff_lzw")
    windows, whole = open_windows(large_tiff), read_image(large_tiff)
    assert windows is not None
    np.testing.assert_array_equal(windows.whole(), whole)
    np.testing.assert_array_equal(windows.read(predicted_image.Window(20, 50, 120, 70)), whole[50:70, 20:120])
    assert windows.shrunk(7).shape == (29, 43, 3)


def test_what_cannot_be_read_by_windows_is_decoded_whole(large_tiff, tmp_path):
    PilImage.fromarray(SCENE).save(tmp_path / "scene.png")
    PilImage.fromarray(SCENE).convert("CMYK").save(tmp_path / "ink.tif")
    exif = PilImage.Exif()
    exif[0x0112] = 6
    PilImage.fromarray(SCENE).save(tmp_path / "turned.tif", exif=exif)
    assert [open_windows(tmp_path / name) for name in ("scene.png", "ink.tif", "turned.tif")] == [None] * 3


def test_a_large_tiff_is_predicted_by_windows_as_its_pixels_are(predictor, large_tiff):
    ((path, image, found),) = predictor.predict_files([large_tiff])
    (expected,) = predictor.predict_images([SCENE], [1])
    assert path == large_tiff and not isinstance(image, np.ndarray)
    assert found.rles == expected.rles
    np.testing.assert_array_equal(found.boxes, expected.boxes)


def test_a_tiff_that_is_damaged_in_the_middle_is_named_and_the_others_are_predicted(predictor, large_tiff, tmp_path):
    damaged = tmp_path / "damaged.tif"
    damaged.write_bytes(large_tiff.read_bytes())
    with PilImage.open(damaged) as image:
        (offset, *_), (length, *_) = image.tag_v2[273], image.tag_v2[279]
    with damaged.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * length)
    found = list(predictor.predict_files([damaged, large_tiff], batch_size=2))
    assert [path for path, *_ in found] == [large_tiff]
    assert [path for path, _ in predictor.unreadable] == [damaged]


def test_pictures_of_a_large_image_are_shrunk_with_its_masks_and_cuts_are_not(predictor, large_tiff, monkeypatch):
    monkeypatch.setattr(predicted_image, "OVERVIEW_PX", 100)
    ((_, image, found),) = predictor.predict_files([large_tiff])
    loaded = LoadedImage(PredictedImage("scene.tif", "scene", found), image)
    small, shrunk = loaded.overview
    assert small.shape == (67, 100, 3) and shrunk.image_size == (67, 100)
    red = rle_to_bitmask(shrunk.rles[0]) == 1
    assert (small[red][:, 0] > small[red][:, 2]).mean() > 0.9
    np.testing.assert_array_equal(loaded.cut(predicted_image.Window(150, 120, 180, 140)), SCENE[120:140, 150:180])
    assert CATEGORIES.name(int(shrunk.labels[0])) == "red thing"


def test_a_result_of_a_large_tiff_is_drawn_and_saved_by_windows(predictor, large_tiff, tmp_path, monkeypatch):
    monkeypatch.setattr(predicted_image, "OVERVIEW_PX", 150)
    model = Model(predictor, {}, lambda: {"overlays": Overlays(), "crops": Crops()})
    result = model.predict(large_tiff)
    assert result.plot().size == (640, 427)  # of 150 x 100 px, enlarged to be read
    result.save(tmp_path / "out", ["overlays", "crops"])
    assert len(list((tmp_path / "out" / "crops" / "scene").iterdir())) == 2
    assert result.image.shape == SCENE.shape


def test_the_screen_says_once_why_there_are_tiles(predictor, large_tiff, tmp_path):
    console = Console(file=io.StringIO(), width=200)
    PilImage.fromarray(SCENE).save(tmp_path / "other.png")
    options = OutputOptions(save="overlays")
    summary = write_predictions(
        predictor, [large_tiff, tmp_path / "other.png"], tmp_path / "out", {"overlays": Overlays()}, options,
        console=console,
    )  # fmt: skip
    assert console.file.getvalue().count("tiles:            24 of 64 px at a scale of 1 for 300 x 200 px") == 1
    assert summary.num_instances == {"red thing": 2, "blue thing": 2}
    assert any("shrunk" in note for note in summary.notes)
