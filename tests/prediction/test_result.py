"""Results in Python: instances that are looked at, chosen, drawn, saved and converted."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from export_factories import CATEGORIES, IDENTITY, PIXEL, RING, TWO_PARTS, all_writers, predicted
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.core.masks import bitmask_to_rle
from instseg.prediction.result import Result, Results
from instseg.prediction.saving import ModelFacts
from instseg.prediction.source_image import SourceImage

FACTS = ModelFacts(CATEGORIES, IDENTITY, all_writers)
GRAY = np.full((6, 8, 3), 128, np.uint8)


def result_of(*masks, name="image_1.png", **options) -> Result:
    return Result(SourceImage(name, None, GRAY), predicted(*masks, **options), FACTS)


@pytest.fixture
def result() -> Result:
    return result_of(RING, TWO_PARTS, PIXEL, labels=[1, 1, 3], scores=[0.984, 0.8, 0.55])


def test_a_result_has_equally_many_of_everything(result):
    assert len(result) == len(result.rles) == len(result.polygons()) == 3
    assert (result.masks.shape, result.masks.dtype) == ((3, 6, 8), np.bool_)
    assert (result.boxes.shape, result.boxes.dtype) == ((3, 4), np.float32)
    assert result.names == ("car", "car", "cake")
    assert result.labels.tolist() == [1, 1, 3]
    np.testing.assert_array_equal(result.masks[0], RING == 1)
    assert result.rles[0] == bitmask_to_rle(RING)


def test_it_says_what_it_holds(result):
    assert repr(result) == "3 instances: 2 car, 1 cake (scores 0.98 to 0.55), 8 x 6 px"
    assert repr(result[2]) == "1 instance: 1 cake (score 0.55), 8 x 6 px"
    assert repr(result_of()) == "no instances, 8 x 6 px"
    assert repr(Results([result, result_of(name="b.png")])).splitlines() == [
        "2 images", f"  image_1.png: {result!r}", "  b.png: no instances, 8 x 6 px",
    ]  # fmt: skip


def test_positions_slices_and_masks_choose_instances(result):
    chosen = {
        (0,): result[0], (2,): result[-1], (0, 1): result[:2], (2, 0): result[[2, 0]], (): result[[]],
        (0, 1, 2): result[result.scores > 0.5],
    }  # fmt: skip
    for positions, part in chosen.items():
        np.testing.assert_array_equal(part.scores, result.scores[list(positions)])
        np.testing.assert_array_equal(part.masks, result.masks[list(positions)])
    assert [instance.names for instance in result] == [("car",), ("car",), ("cake",)]
    with pytest.raises(IndexError):
        result[3]


def test_filters_take_names_and_a_score(result):
    assert result.filter("cake").names == ("cake",)
    assert len(result.filter(["car", "cake"], min_score=0.8)) == 2
    assert len(result.filter("traffic sign")) == 0
    with pytest.raises(InstsegError, match=r"names: no category named bus. There are"):
        result.filter("bus")


def test_nothing_of_a_result_can_be_changed(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.prediction = None
    for array in (result.boxes, result.scores, result.labels, result.image):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_it_is_drawn_as_a_picture_that_notebooks_show(result):
    picture = result.plot()
    assert isinstance(picture, PilImage.Image) and picture.mode == "RGB"
    assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 3
    assert result._repr_png_().startswith(b"\x89PNG")
    assert result_of()._repr_png_().startswith(b"\x89PNG")
    sheet = PilImage.open(io.BytesIO(Results([result] * 4)._repr_png_()))
    assert sheet.width > picture.width and sheet.height > picture.height and Results()._repr_png_() is None


def test_coco_holds_the_image_and_its_instances(result):
    coco = result.to_coco()
    assert [image["file_name"] for image in coco["images"]] == ["image_1.png"]
    assert [annotation["category_id"] for annotation in coco["annotations"]] == [1, 1, 3]
    json.dumps(coco)


def test_supervision_gets_its_own_class_or_a_line_to_install_it(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match=r'pip install "instseg\[supervision\]"'):
        result.to_supervision()
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=SimpleNamespace))
    detections = result.to_supervision()
    assert detections.mask.shape == (3, 6, 8)
    assert detections.class_id.tolist() == [0, 0, 2]
    assert detections.data["class_name"].tolist() == ["car", "car", "cake"]


def test_several_results_are_saved_at_once_in_any_formats(result, tmp_path):
    file = tmp_path / "photos" / "b.png"
    file.parent.mkdir()
    PilImage.fromarray(GRAY).save(file)
    of_a_file = dataclasses.replace(result, source=SourceImage("b.png", file))
    Results([result, of_a_file]).save(tmp_path / "out", list(all_writers()))
    coco = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == ["out/images/image_1.png", "photos/b.png"]
    assert len(coco["annotations"]) == 6
    assert (tmp_path / "out/images/image_1.png").is_file()  # from memory, and the formats refer to it
    record = json.loads((tmp_path / "out/prediction_run.json").read_text())
    assert (record["state"], record["num_instances"]) == ("done", {"car": 4, "cake": 2})


def test_saved_files_are_not_replaced_unless_asked_for(result, tmp_path):
    result.save(tmp_path, "csv")
    with pytest.raises(InstsegError, match=r"overwrite=True, or save several results at once"):
        result.save(tmp_path, "csv")
    result[:1].save(tmp_path, "csv", overwrite=True)
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 2


def test_what_cannot_be_saved_is_refused(result, tmp_path):
    for save, message in {
        lambda: result.save(tmp_path, "overlay"): "no writer overlay. Did you mean overlays",
        lambda: Results().save(tmp_path): "expected at least one result",
        lambda: Results([result, result]).save(tmp_path): "image_1.png is among the results more than once",
    }.items():
        with pytest.raises(InstsegError, match=message):
            save()
    assert list(tmp_path.iterdir()) == []
