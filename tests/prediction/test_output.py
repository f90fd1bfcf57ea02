"""Photos in, files out: what a whole run of ``predict.py`` leaves."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from colour_finder import CATEGORIES, FindsColours, write_photos
from export_factories import all_writers
from killed_predictions import killed_after
from pycocotools.coco import COCO
from rich.console import Console

from instseg.checkpoints.operating_points import OperatingPoints, StoredPoint, stored_estimate
from instseg.core.errors import InstsegError
from instseg.data.reading.images import read_image
from instseg.data.transforms.resize import Resize
from instseg.prediction import output as prediction_output
from instseg.prediction.output import OutputOptions
from instseg.prediction.predictor import Predictor
from instseg.prediction.summary import PredictSummary
from instseg.prediction.torch_network import TorchNetwork


def write_predictions(
    predictor: Predictor, source: object, output: Path, console: Console | None = None, **options: object
) -> PredictSummary:
    chosen = OutputOptions(**options)
    return prediction_output.write_predictions(predictor, source, output, all_writers(), chosen, console=console)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(96, 128))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


@pytest.fixture
def quiet() -> Console:
    return Console(quiet=True)


def test_everything_found_is_written_and_can_be_read_alone(predictor, photos, tmp_path, quiet):
    output = tmp_path / "out"
    summary = write_predictions(predictor, photos, output, batch_size=3, console=quiet)
    writes = ("overlays", "predictions.json", "predictions.csv")
    assert summary == PredictSummary(output, 4, {"red thing": 2, "blue thing": 2}, [], False, writes)
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
    with pytest.raises(InstsegError, match=r"no category named green.*red thing"):
        counts("d", categories=["green"])
    with pytest.raises(InstsegError, match="limit"):
        counts("d", limit=0)
    assert not (tmp_path / "d").exists()


def test_each_category_has_its_threshold_and_the_files_say_which(predictor, photos, tmp_path):
    points = OperatingPoints(
        "f1", 9, [StoredPoint("blue thing", *[stored_estimate(0.7, 0.6, 0.8)] * 4, is_reached=True)]
    )
    predictor.operating_points = points
    console = Console(record=True, width=200, file=(tmp_path / "log").open("w"))

    def run(name: str, **options: object) -> tuple[dict[str, int], object]:
        found = write_predictions(predictor, photos, tmp_path / name, save="coco", console=console, **options)
        written = json.loads((tmp_path / name / "predictions.json").read_text())["info"]["model"]
        return found.num_instances, written["score_threshold"]

    assert run("a") == ({"red thing": 2}, {"red thing": 0.5, "blue thing": 0.7})
    assert run("b", score_threshold={"red thing": 1}) == ({}, {"red thing": 1.0, "blue thing": 0.7})
    assert run("c", score_threshold=0.4) == ({"red thing": 2, "blue thing": 2}, 0.4)
    assert (
        "score threshold:  red thing 0.5, blue thing 0.7 (best F1 on 9 validation images; 0.5 for"
        in console.export_text()
    )


def test_damaged_files_do_not_stop_the_run_and_show_in_summary_and_exit_code(predictor, photos, tmp_path):
    (photos / "3 [old].jpg").write_bytes(b"")
    console = Console(record=True, width=200, file=(tmp_path / "log").open("w"))
    summary = write_predictions(predictor, photos, tmp_path / "out", console=console)
    assert (summary.exit_code, summary.num_images) == (2, 4)
    record = json.loads((tmp_path / "out/prediction_run.json").read_text())
    assert record["unreadable"] == [{"file": str(photos / "3 [old].jpg"), "reason": "the file is empty"}]
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


def test_ctrl_c_writes_what_was_done_so_far(predictor, photos, tmp_path, quiet):
    whole = predictor.predict_files

    def interrupted(paths: list[Path], batch_size: int) -> Iterator[object]:
        for number, result in enumerate(whole(paths, batch_size)):
            if number == 2:
                raise KeyboardInterrupt
            yield result

    predictor.predict_files = interrupted
    summary = write_predictions(predictor, photos, tmp_path / "out", save=["coco", "labelme"], console=quiet)
    assert (summary.num_images, summary.interrupted, summary.exit_code) == (2, True, 130)
    assert len(json.loads((tmp_path / "out/predictions.json").read_text())["images"]) == 2
    assert len(list((tmp_path / "out/labelme").rglob("*.json"))) == 2
    assert json.loads((tmp_path / "out/prediction_run.json").read_text())["state"] == "interrupted"


def test_a_list_of_sources_is_named_from_the_folder_they_share(predictor, photos, tmp_path, quiet):
    write_predictions(predictor, [photos / "more", photos / "1.png"], tmp_path / "out", console=quiet)
    names = [i["file_name"] for i in json.loads((tmp_path / "out/predictions.json").read_text())["images"]]
    assert names == ["more/1.png", "1.png"]


def test_a_run_in_every_format_names_the_model_and_keeps_the_folders_of_the_source(predictor, photos, tmp_path, quiet):
    identity = {"checkpoint": "/runs/best.ckpt", "run": "things_small/2026-01-31", "epoch": 3}
    output = tmp_path / "out"
    options = OutputOptions(save=list(all_writers()))
    prediction_output.write_predictions(
        predictor, photos, output, all_writers(), options, identity=identity, console=quiet
    )
    record = json.loads((output / "prediction_run.json").read_text())
    assert record["state"] == "done" and record["model"].items() >= identity.items()
    assert record["model"]["category_names"] == list(CATEGORIES.names)
    assert (record["num_images"], record["num_instances"]) == (4, {"red thing": 2, "blue thing": 2})
    assert json.loads((output / "predictions.json").read_text())["info"]["model"] == record["model"]
    for path in ("overlays/more/1.jpg", "masks/more/1.png", "binary/more/1.png", "rgb/more/1.png"):
        assert (output / path).is_file(), path
    for path in ("instances/more/1/01_blue_thing_0.60.jpg", "labelme/more/1.json", "yolo/labels/more/1.txt"):
        assert (output / path).is_file(), path
    assert json.loads((output / "labelme/2.json").read_text())["shapes"] == []  # looked at, nothing found
    assert len(json.loads((output / "labelstudio/tasks.json").read_text())) == 4


def test_only_what_was_asked_for_is_written_and_said(predictor, photos, tmp_path):
    console = Console(record=True, width=200, file=(tmp_path / "log").open("w"))
    summary = write_predictions(predictor, photos, tmp_path / "out", save="binary", console=console)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"binary", "prediction_run.json"}
    summary.print(console)
    text = console.export_text()
    assert str(tmp_path / "out/binary") in text and "overlays" not in text


def test_a_run_that_was_killed_can_be_replaced_though_it_never_finished(predictor, photos, tmp_path, quiet):
    whole, output = predictor.predict_files, tmp_path / "out"

    def killed(paths: list[Path], batch_size: int) -> Iterator[object]:
        yield next(iter(whole(paths, batch_size)))
        raise SystemExit

    predictor.predict_files = killed
    with pytest.raises(SystemExit):
        write_predictions(predictor, photos, output, console=quiet)
    assert json.loads((output / "prediction_run.json").read_text())["state"] == "running"
    assert not (output / "predictions.json").exists()
    predictor.predict_files = whole
    with pytest.raises(InstsegError, match=r"earlier run.*overwrite=true"):
        write_predictions(predictor, photos, output, console=quiet)
    assert write_predictions(predictor, photos, output, overwrite=True, console=quiet).num_images == 4


@pytest.mark.parametrize("num_images", [0, 1, 3])
def test_what_a_killed_process_has_written_is_whole_and_the_next_run_replaces_it(
    predictor, photos, tmp_path, quiet, num_images
):
    output = tmp_path / "out"
    assert killed_after(num_images, photos, output) == -signal.SIGKILL
    assert output.exists() == (num_images > 0) and not (output / "predictions.json").exists()
    for picture in output.rglob("*.jpg"):
        read_image(picture)
    write_predictions(predictor, photos, output, overwrite=True, console=quiet)
    write_predictions(predictor, photos, tmp_path / "never killed", console=quiet)
    found, expected = (
        json.loads((folder / "predictions.json").read_text()) for folder in (output, tmp_path / "never killed")
    )
    assert all(found[key] == expected[key] for key in ("images", "annotations", "categories"))
    assert not list(output.rglob(".*"))


def test_an_earlier_run_stays_until_there_is_something_better(predictor, photos, tmp_path, quiet):
    write_predictions(predictor, photos, tmp_path / "out", console=quiet)
    (tmp_path / "broken.jpg").write_bytes(b"x")
    write_predictions(predictor, tmp_path / "broken.jpg", tmp_path / "out", overwrite=True, console=quiet)
    assert (tmp_path / "out/predictions.json").is_file()


def test_pictures_that_a_run_wrote_into_its_source_are_no_photos(predictor, photos, quiet):
    formats = ["overlays", "masks", "binary", "rgb", "instances", "yolo"]
    write_predictions(predictor, photos, photos, save=formats, console=quiet)
    again = write_predictions(predictor, photos, photos, save="coco", overwrite=True, console=quiet)
    assert again.num_images == 4
    assert not (photos / "yolo").exists() and (photos / "more/1.png").is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_a_file_name_that_is_no_utf8_does_not_stop_a_run(predictor, photos, tmp_path, quiet):
    name = os.fsdecode(b"caf\xe9.png")
    (photos / "1.png").rename(photos / name)
    write_predictions(predictor, photos, tmp_path / "out", save=list(all_writers()), console=quiet)
    images = json.loads((tmp_path / "out/predictions.json").read_text())["images"]
    assert name in [image["file_name"] for image in images]
    path = tmp_path / "out/labelme" / name.replace(".png", ".json")
    assert (path.parent / json.loads(path.read_text())["imagePath"]).is_file()
