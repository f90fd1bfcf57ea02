"""Photos in, predictions and files out, with a network that finds exactly the red pixels."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PilImage
from pycocotools.coco import COCO
from rich.console import Console
from torch import Tensor, nn

from instseg.categories import Categories
from instseg.data.images import read_image
from instseg.data.transforms import Resize
from instseg.errors import InstsegError
from instseg.masks import rle_area, rle_to_box
from instseg.models.mask_rcnn import build_mask_rcnn
from instseg.prediction_output import PredictSummary, overlay_names, write_predictions
from instseg.predictor import Predictor, choose_device
from instseg.types import Detections, ImageSize

CATEGORIES = Categories(("red thing", "blue thing"))
RED, BLUE = (255, 0, 0), (0, 0, 255)


class FindsColours(nn.Module):
    """Reports the box around all red pixels (label 1, score 0.9) and all blue ones (label 2, score 0.6)."""

    def __init__(self) -> None:
        super().__init__()
        self.seen_shapes: list[tuple[int, ...]] = []

    def forward(
        self, images: Tensor, image_sizes: list[ImageSize], targets: None = None
    ) -> tuple[dict[str, Tensor], list[Detections]]:
        assert images.dtype == torch.uint8 and not self.training and torch.is_inference_mode_enabled()
        self.seen_shapes.append(tuple(images.shape))
        return {}, [self.find(image[:, :h, :w]) for image, (h, w) in zip(images, image_sizes, strict=True)]

    def find(self, image: Tensor) -> Detections:
        found = []
        for label, score, channel in ((1, 0.9, 0), (2, 0.6, 2)):
            others = [c for c in range(3) if c != channel]
            y, x = torch.where((image[channel] > 128) & (image[others] < 128).all(0))
            if len(y):
                box = [float(v) for v in (x.min(), y.min(), x.max() + 1, y.max() + 1)]
                found.append((box, label, score))
        boxes = torch.tensor([box for box, _, _ in found]).reshape(-1, 4)
        labels = torch.tensor([label for _, label, _ in found], dtype=torch.int64)
        return Detections(boxes, labels, torch.tensor([s for *_, s in found]), torch.ones(len(found), 28, 28))


def photo(height: int, width: int, **rectangles: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    picture = np.full((height, width, 3), 200, np.uint8)
    for name, (x1, y1, x2, y2) in rectangles.items():
        picture[y1:y2, x1:x2] = {"red": RED, "blue": BLUE}[name]
    return picture


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(FindsColours(), CATEGORIES, Resize(96, 128), device="cpu")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name, rectangles in {
        "1.png": {"red": (16, 32, 64, 96)},
        "2.PNG": {},
        "10.png": {"red": (0, 0, 32, 32), "blue": (64, 64, 128, 128)},
        "more/1.png": {"blue": (32, 32, 96, 96)},
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PilImage.fromarray(photo(192, 256, **rectangles)).save(path)
    return folder


@pytest.fixture
def quiet() -> Console:
    return Console(quiet=True)


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
    assert predictor.model.seen_shapes == [(2, 3, 128, 128)]
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
    assert len(predictor.model.seen_shapes) == 1


def test_everything_found_is_written_and_can_be_read_alone(predictor, photos, tmp_path, quiet):
    output = tmp_path / "out"
    summary = write_predictions(predictor, photos, output, batch_size=3, console=quiet)
    assert summary == PredictSummary(output, 4, {"red thing": 2, "blue thing": 2}, [], interrupted=False)
    assert summary.exit_code == 0

    coco = COCO(str(output / "predictions.json"))
    assert [image["file_name"] for image in coco.imgs.values()] == ["1.png", "2.PNG", "10.png", "more/1.png"]
    assert len(coco.loadRes(coco.dataset["annotations"]).anns) == 4
    assert coco.dataset["info"]["image_folder"] == str(photos)
    with (output / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["category"]) for row in rows] == [
        ("1.png", "red thing"),
        ("10.png", "red thing"),
        ("10.png", "blue thing"),
        ("more/1.png", "blue thing"),
    ]
    overlays = sorted(p.relative_to(output / "overlays").as_posix() for p in (output / "overlays").rglob("*.jpg"))
    assert overlays == ["1.jpg", "10.jpg", "2.jpg", "more/1.jpg"]
    assert max(read_image(output / "overlays/1.jpg").shape) == 640
    assert not list(output.rglob(".*"))


def test_threshold_categories_and_limit_hold_for_every_output(predictor, photos, tmp_path, quiet):
    def counts(name: str, **options: object) -> dict[str, int]:
        return write_predictions(predictor, photos, tmp_path / name, console=quiet, **options).num_instances

    assert counts("a", score_threshold=0.7) == {"red thing": 2}
    assert counts("b", categories=["blue thing"]) == {"blue thing": 2}
    assert counts("c", limit=1) == {"red thing": 1}
    assert {a["category_id"] for a in json.loads((tmp_path / "b/predictions.json").read_text())["annotations"]} == {2}
    with pytest.raises(InstsegError, match=r"no category named 'green'.*red thing"):
        counts("d", categories=["green"])
    with pytest.raises(InstsegError, match="limit"):
        counts("d", limit=0)
    assert not (tmp_path / "d").exists()


def test_damaged_files_do_not_stop_the_run_and_show_in_summary_and_exit_code(predictor, photos, tmp_path):
    (photos / "3 [old].jpg").write_bytes(b"")
    console = Console(record=True, width=200, file=(tmp_path / "log").open("w"))
    summary = write_predictions(predictor, photos, tmp_path / "out", console=console)
    assert (summary.exit_code, summary.num_images) == (2, 4)
    info = json.loads((tmp_path / "out/predictions.json").read_text())["info"]
    assert info["unreadable"] == [{"file": str(photos / "3 [old].jpg"), "reason": "the file is empty"}]
    summary.print(console)
    text = console.export_text()
    assert "1 of 5 not readable" in text and "3 [old].jpg: the file is empty" in text
    assert "red thing" in text and "predictions.csv" in text


def test_when_nothing_can_be_read_nothing_is_written(predictor, tmp_path, quiet):
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert write_predictions(predictor, tmp_path / "a.jpg", tmp_path / "out", console=quiet).exit_code == 1
    assert not (tmp_path / "out").exists()


def test_an_earlier_run_is_never_mixed_with_or_lost_by_accident(predictor, photos, tmp_path, quiet):
    output = photos / "out"  # inside the source, as people do
    write_predictions(predictor, photos, output, console=quiet)
    with pytest.raises(InstsegError, match=r"earlier run.*overwrite=true"):
        write_predictions(predictor, photos, output, console=quiet)
    summary = write_predictions(predictor, photos, output, limit=1, overwrite=True, console=quiet)
    assert summary.num_images == 1  # and its own overlays were no source
    assert [path.name for path in (output / "overlays").rglob("*.jpg")] == ["1.jpg"]


def test_a_folder_of_overlays_that_may_be_someone_elses_is_not_removed(predictor, photos, tmp_path, quiet):
    (tmp_path / "out/overlays").mkdir(parents=True)
    with pytest.raises(InstsegError, match="remove it yourself"):
        write_predictions(predictor, photos, tmp_path / "out", overwrite=True, console=quiet)


def test_ctrl_c_writes_what_was_done_so_far(predictor, photos, tmp_path, quiet):
    whole = predictor.predict_files

    def interrupted(paths: list[Path], batch_size: int) -> Iterator[object]:
        for number, result in enumerate(whole(paths, batch_size)):
            if number == 2:
                raise KeyboardInterrupt
            yield result

    predictor.predict_files = interrupted
    summary = write_predictions(predictor, photos, tmp_path / "out", console=quiet)
    assert (summary.num_images, summary.interrupted, summary.exit_code) == (2, True, 130)
    assert len(json.loads((tmp_path / "out/predictions.json").read_text())["images"]) == 2


def test_a_list_of_sources_is_named_from_the_folder_they_share(predictor, photos, tmp_path, quiet):
    write_predictions(predictor, [photos / "more", photos / "1.png"], tmp_path / "out", console=quiet)
    names = [i["file_name"] for i in json.loads((tmp_path / "out/predictions.json").read_text())["images"]]
    assert names == ["more/1.png", "1.png"]


def test_files_of_the_same_stem_get_overlays_of_their_own():
    assert overlay_names(["a.jpg", "a.png", "b/a.jpg", "A.webp"]) == ["a.jpg", "a.png.jpg", "b/a.jpg", "A.webp.jpg"]
    assert overlay_names(["a.png.jpg", "a.png", "a.jpg"]) == ["a.png.jpg", "a.jpg", "a.jpg.jpg"]


def test_a_device_that_is_not_there_is_refused_with_a_way_out():
    assert choose_device("cpu") == torch.device("cpu")
    for name in ("cuda:77", "toaster"):
        with pytest.raises(InstsegError, match=rf"device={name} .*device=cpu"):
            choose_device(name)


def test_an_untrained_network_of_ours_predicts_on_photos_of_two_shapes():
    torch.manual_seed(0)
    options = {"box": {"score_threshold": 0.0, "detections_per_image": 5}, "fpn_channels": 32}
    model = build_mask_rcnn(CATEGORIES, backbone="resnet18", **options)
    found = Predictor(model, CATEGORIES, Resize(64, 96), "cpu").predict_images([photo(60, 80), photo(120, 70)])
    assert [(len(p), p.image_size) for p in found] == [(5, (60, 80)), (5, (120, 70))]
    assert all(rle["size"] == [120, 70] for rle in found[1].rles)
