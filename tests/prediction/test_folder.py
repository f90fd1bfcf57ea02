"""Whose a folder is: predictions replace predictions, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from instseg.core.errors import InstsegError
from instseg.prediction.folder import RECORD, PredictionFolder

WRITES = ["overlays", "predictions.json"]


def earlier_run(path: Path, writes: list[str] = WRITES) -> Path:
    PredictionFolder(path, writes, overwrite=False).claim({})
    for name in writes:
        if "." in name:
            (path / name).write_text("{}")
        else:
            (path / name).mkdir()
            (path / name / "1.jpg").touch()
    return path


def test_a_run_says_what_it_writes_before_it_writes_it_and_how_it_ended(tmp_path):
    folder = PredictionFolder(tmp_path / "out", WRITES, overwrite=False)
    assert not (tmp_path / "out").exists()
    folder.claim({"save": ["overlays", "coco"]})
    record = json.loads((tmp_path / "out" / RECORD).read_text())
    assert record == {"state": "running", "writes": WRITES, "save": ["overlays", "coco"]}
    folder.close("done", num_images=3)
    assert json.loads((tmp_path / "out" / RECORD).read_text()) == record | {"state": "done", "num_images": 3}


def test_an_earlier_run_is_refused_or_replaced_as_a_whole(tmp_path):
    output = earlier_run(tmp_path / "out")
    with pytest.raises(InstsegError, match=r"earlier run \(overlays, predictions.json\).*overwrite=true"):
        PredictionFolder(output, ["rgb"], overwrite=False)
    (output / "notes.txt").touch()
    PredictionFolder(output, ["rgb"], overwrite=True).claim({})
    assert sorted(path.name for path in output.iterdir()) == ["notes.txt", RECORD]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_no_run_wrote_is_never_removed(tmp_path, overwrite):
    (tmp_path / "masks").mkdir()
    with pytest.raises(InstsegError, match=r"has masks, which no run of this program wrote.*remove it yourself"):
        PredictionFolder(tmp_path, ["masks"], overwrite)
    earlier_run(tmp_path, ["overlays"])
    with pytest.raises(InstsegError, match="has masks, which no run"):
        PredictionFolder(tmp_path, ["overlays", "masks"], overwrite)
    assert (tmp_path / "masks").is_dir() and (tmp_path / "overlays").is_dir()


def test_other_things_in_the_folder_are_in_nobodys_way(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "a.jpg").touch()
    PredictionFolder(tmp_path, ["overlays"], overwrite=False).claim({})
    assert (tmp_path / "masks").is_dir() and (tmp_path / "a.jpg").is_file()


@pytest.mark.parametrize(
    "record",
    ["", "[]", "{}", '{"writes": 3}', '{"writes": null}', '{"writes": ["..", "/", "a.jpg", ["x"], 1]}', "\xff"],
)
def test_a_record_that_was_tampered_with_removes_nothing(tmp_path, record):
    (tmp_path / RECORD).write_bytes(record.encode("latin-1"))
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InstsegError, match=r"earlier run \(prediction_run.json\)"):
        PredictionFolder(tmp_path, WRITES, overwrite=False)
    PredictionFolder(tmp_path, WRITES, overwrite=True).claim({})
    assert (tmp_path / "a.jpg").is_file()


def test_a_folder_knows_what_lies_in_its_parts(tmp_path):
    folder = PredictionFolder(earlier_run(tmp_path / "out"), ["rgb"], overwrite=True)
    assert folder.contains(tmp_path / "out/overlays/1.jpg")
    assert folder.contains(tmp_path / "out/rgb/more/1.png")
    assert not folder.contains(tmp_path / "out/1.jpg")
    assert not folder.contains(tmp_path / "overlays/1.jpg")


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InstsegError, match=r"output=.*file.out cannot be written to"):
        PredictionFolder(tmp_path / "file/out", WRITES, overwrite=False).claim({})
