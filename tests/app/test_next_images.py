"""``instseg next``: images in, a list with reasons, contact sheets and pre-labels out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from colour_finder import FindsColours, photo, write_photos
from PIL import Image as PilImage
from reading import instances, read_labels
from tiny_checkpoint import write_tiny_checkpoint
from typed_commands import Command

from instseg.app import next_images as command
from instseg.app.compose import compose
from instseg.core.errors import InstsegError
from instseg.data.formats.labelme.reader import LabelmeReader
from instseg.data.transforms.resize import Resize
from instseg.prediction.predictor import Predictor
from instseg.prediction.torch_network import TorchNetwork

INSTSEG = "src/instseg/__main__.py"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos of ``write_photos``, a near duplicate of one that has detail, and a file that is no image."""
    folder = write_photos(tmp_path / "photos")
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    detailed = PilImage.fromarray(noise).resize((256, 192), PilImage.Resampling.BICUBIC)
    detailed.save(folder / "detailed.png")
    detailed.resize((128, 96)).save(folder / "smaller.jpg")
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture
def run(monkeypatch, tmp_path, photos, capsys):
    """Run the command, on a network that finds colours; return its exit code and what it printed."""

    def run(*overrides: str) -> tuple[int, str]:
        predictor = Predictor(TorchNetwork(FindsColours(), "cpu"), Resize(96, 128))
        monkeypatch.setattr(command, "build_predictor", lambda *_: (predictor, {"weights": "colours"}))
        places = ("weights=coco", f"source={photos}", f"output={tmp_path / 'out'}", f"outputs={tmp_path}")
        code = command.next_images(compose("next", [*places, *overrides]))
        return code, capsys.readouterr().out

    return run


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "next_images.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_most_uncertain_image_heads_the_list_with_its_reason(run, tmp_path):
    code, said = run("count=3")
    first, second, third = rows(tmp_path / "out")
    assert (first["rank"], first["file"], first["uncertainty_rank"]) == ("1", "10.png", "1")
    assert first["reason"].startswith("rank 1 of 6 by uncertainty, 2 possible objects, in doubt like 1.4 of score 0.5")
    assert second["reason"].partition("; ")[2] == f"distance {float(second['distance']):.2f} to {second['nearest']}"
    assert code == 2 and "broken.jpg: not an image" in said and "3 of 6 images chosen:" in said
    assert third["file"] and list((tmp_path / "out" / "sheets").iterdir()) == [tmp_path / "out/sheets/001-003.jpg"]


def test_of_near_duplicates_one_is_chosen_and_the_list_is_shorter(run, tmp_path):
    _, said = run("count=50")
    files = {row["file"] for row in rows(tmp_path / "out")}
    assert len(files & {"detailed.png", "smaller.jpg"}) == 1 and {"1.png", "10.png", "more/1.png"} <= files
    assert "5 of 6 images chosen; the others are near duplicates" in said


def test_what_is_labelled_is_not_chosen_again(run, tmp_path, photos):
    run("count=50", f"labelled={photos / '10.png'}")
    assert "10.png" not in {row["file"] for row in rows(tmp_path / "out")}


def test_pre_labels_are_read_back_by_the_reader_of_their_tool(run, tmp_path):
    run("count=2", "save=labelme", "score_threshold=0.5")
    ((labels,), _) = (list(part.values()) for part in read_labels(LabelmeReader(tmp_path / "out" / "labelme")))
    read = {Path(file).name: [name for name, _ in found] for file, found in instances(labels).items()}
    assert read["10.png"] == ["red thing", "blue thing"]
    assert {*read} == {Path(row["file"]).name for row in rows(tmp_path / "out")}


def test_another_count_needs_no_second_pass(run, tmp_path, monkeypatch):
    run("count=1")
    monkeypatch.setattr("instseg.app.next_scan.look_twice", lambda *_: pytest.fail("looked again"))
    code, _ = run("count=4", "overwrite=true")
    assert code == 2 and len(rows(tmp_path / "out")) == 4


def test_ctrl_c_keeps_what_was_done_and_the_same_command_resumes(run, tmp_path, monkeypatch):
    look, seen = command.scan_images.__globals__["look_twice"], []

    def look_until_ctrl_c(predictor, images, ids):
        seen.append(ids)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return look(predictor, images, ids)

    monkeypatch.setattr("instseg.app.next_scan.look_twice", look_until_ctrl_c)
    code, said = run("count=2")
    assert code == 130 and "2 images looked at; the same command resumes" in said
    assert run("count=2")[0] == 2 and len(seen) == 3 + 4


def test_an_earlier_choice_is_replaced_only_when_asked_and_before_any_work(run, tmp_path, monkeypatch):
    run("count=1")
    monkeypatch.setattr(command, "build_predictor", lambda *_: pytest.fail("began"))
    with pytest.raises(InstsegError, match=r"holds the predictions of an earlier run .*overwrite=true"):
        run("count=2")


def test_without_a_learning_curve_the_command_that_makes_one_is_printed(run):
    _, said = run("count=1")
    assert "expected gain: unknown" in said and "sweep=learning_curve dataset=auto dataset.root=MY_LABELS" in said


def test_the_typed_command_writes_pre_labels_in_the_format_that_the_model_was_trained_on(tmp_path):
    for number, red in enumerate(((8, 16, 40, 48), (0, 0, 20, 20))):
        PilImage.fromarray(photo(64, 96, red=red)).save(tmp_path / f"{number}.png")
    checkpoint = write_tiny_checkpoint(tmp_path / "best.ckpt", "labelme")
    arguments = (f"checkpoint={checkpoint}", f"source={tmp_path}/*.png", f"output={tmp_path}/out", "count=2")
    Command(["next", *arguments, "device=cpu"], script=INSTSEG).succeed()
    pre_labels = [json.loads(file.read_text()) for file in sorted((tmp_path / "out/labelme").iterdir())]
    assert [content["imagePath"] for content in pre_labels] == ["../../0.png", "../../1.png"]
