"""Which formats there are, and the threads that write them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from export_factories import PIXEL, all_writers, export_run, predicted

from instseg.core.errors import InstsegError
from instseg.prediction.writers.choice import checked_names
from instseg.prediction.writers.overlays import Overlays
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage, unique_stems
from instseg.prediction.writers.threads import WriterThreads
from instseg.prediction.writers.writer import PredictionRun

PIXELS = np.zeros((6, 8, 3), np.uint8)
NAMES = tuple(all_writers())


def images(count: int) -> list[LoadedImage]:
    return [LoadedImage(PredictedImage(f"{n}.png", str(n), predicted(PIXEL, image_id=n)), PIXELS) for n in range(count)]


def test_a_list_of_names_or_a_single_one_is_taken_each_once():
    assert checked_names(["masks", "coco", "masks"], NAMES) == ("masks", "coco")
    assert checked_names("labelme", NAMES) == ("labelme",)
    assert checked_names(list(NAMES), NAMES) == NAMES


@pytest.mark.parametrize(
    ("save", "message"),
    [
        ("mask", "no writer mask. Did you mean masks"),
        (["overlays", "label_studio"], "no writer label_studio. Did you mean labelstudio"),
        (["png"], r"no writer png\. Known here: overlays, masks, binary"),
        ([], "expected one or more of overlays"),
        (None, "save=None: expected one or more"),
        (7, "save=7: expected one or more"),
    ],
)
def test_an_unknown_name_is_refused_with_what_was_meant(save, message):
    with pytest.raises(InstsegError, match=message):
        checked_names(save, NAMES)


def test_no_two_formats_write_to_the_same_place():
    assert len({writer.writes for writer in all_writers().values()}) == len(NAMES)


def test_files_of_the_same_stem_get_a_name_of_their_own():
    assert unique_stems(["a.jpg", "a.png", "b/a.jpg", "A.webp"]) == ["a", "a.png", "b/a", "A.webp"]
    assert unique_stems(["a.png.jpg", "a.png", "a.jpg"]) == ["a.png", "a", "a.jpg"]
    assert unique_stems(["a.png.x", "a.x", "a.png"]) == ["a.png", "a", "a.png_"]


def test_a_model_is_called_by_its_run_else_by_its_file(tmp_path):
    def name(**identity: object) -> str:
        return PredictionRun(tmp_path, tmp_path, export_run(tmp_path).categories, identity).model_version

    assert name(run="coco_r18fpn/2026-01-31_12-00-00", epoch=3) == "coco_r18fpn/2026-01-31_12-00-00 epoch 3"
    assert name(checkpoint="/a/best.ckpt", run=None, epoch=None) == "/a/best.ckpt"
    assert name(weights="coco", backbone="resnet50") == "coco"
    assert name() == "instseg"


def test_every_format_is_written_beside_the_caller_and_whole_when_the_context_is_left(tmp_path):
    (tmp_path / "my photos").mkdir()
    for n in range(9):
        (tmp_path / f"my photos/{n}.png").touch()
    threads = WriterThreads(export_run(tmp_path), list(all_writers().values()))
    with threads:
        for image in images(9):
            threads.add(image)
    assert threads.finish() == []
    assert {path.name for path in (tmp_path / "out").iterdir()} == {writer.writes for writer in threads.writers}
    for folder in ("overlays", "masks", "binary", "rgb", "labelme", "yolo/labels", "yolo/images"):
        assert len([p for p in (tmp_path / "out" / folder).iterdir() if p.stem.isdigit()]) == 9, folder


def test_only_a_few_images_wait_with_their_pixels(tmp_path, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(Overlays, "add", lambda self, image: go_on.wait(10))
    threads = WriterThreads(export_run(tmp_path), [Overlays()])
    with threads:
        adding = threading.Thread(target=lambda: [threads.add(image) for image in images(20)])
        adding.start()
        adding.join(0.3)
        assert adding.is_alive() and len(threads.images) == 4
        go_on.set()
        adding.join()
    assert len(threads.images) == 20


def test_a_full_disk_is_said_with_the_output(tmp_path, monkeypatch):
    def disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Overlays, "add", disk_full)
    with pytest.raises(InstsegError, match=r"output=.*out cannot be written to: .*No space left"):  # noqa: SIM117
        with WriterThreads(export_run(tmp_path), [Overlays()]) as threads:
            threads.add(images(1)[0])
