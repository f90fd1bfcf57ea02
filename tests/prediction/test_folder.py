"""Whose a folder is: predictions replace predictions, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from mutating import read_damaged_files

from instseg.core.errors import InstsegError
from instseg.core.records import read_record
from instseg.prediction.folder import RECORD, PredictionFolder, PredictionRecord, Unreadable

WRITES = ["overlays", "predictions.json"]
KNOWN = ("overlays", "masks", "rgb", "predictions.json", "predictions.csv", "mine")


def folder_at(path: Path, writes: list[str], overwrite: bool = False) -> PredictionFolder:
    return PredictionFolder(path, writes, KNOWN, overwrite)


def record_of(writes: list[str]) -> PredictionRecord:
    return PredictionRecord(writes=writes, save=["overlays", "coco"], image_folder="/photos", model={"run": "a/b"})


def earlier_run(path: Path, writes: list[str] = WRITES) -> Path:
    folder_at(path, writes).claim(record_of(writes))
    for name in writes:
        if "." in name:
            (path / name).write_text("{}")
        else:
            (path / name).mkdir()
            (path / name / "1.jpg").touch()
    return path


def test_a_run_says_what_it_writes_before_it_writes_it_and_how_it_ended(tmp_path):
    folder = folder_at(tmp_path / "out", WRITES)
    assert not (tmp_path / "out").exists()
    folder.claim(record_of(WRITES))
    begun = json.loads((tmp_path / "out" / RECORD).read_text())
    assert (begun["state"], begun["writes"], begun["save"]) == ("running", WRITES, ["overlays", "coco"])
    folder.update(msgspec.structs.replace(record_of(WRITES), state="done", num_images=3))
    assert json.loads((tmp_path / "out" / RECORD).read_text()) == begun | {"state": "done", "num_images": 3}


def test_an_earlier_run_is_refused_or_replaced_as_a_whole(tmp_path):
    output = earlier_run(tmp_path / "out")
    with pytest.raises(InstsegError, match=r"earlier run \(overlays, predictions.json\).*overwrite=true"):
        folder_at(output, ["rgb"])
    (output / "notes.txt").touch()
    folder_at(output, ["rgb"], overwrite=True).claim(record_of(["rgb"]))
    assert sorted(path.name for path in output.iterdir()) == ["notes.txt", RECORD]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_no_run_wrote_is_never_removed(tmp_path, overwrite):
    (tmp_path / "masks").mkdir()
    with pytest.raises(InstsegError, match=r"has masks, which no run of this program wrote.*remove it yourself"):
        folder_at(tmp_path, ["masks"], overwrite)
    earlier_run(tmp_path, ["overlays"])
    with pytest.raises(InstsegError, match="has masks, which no run"):
        folder_at(tmp_path, ["overlays", "masks"], overwrite)
    assert (tmp_path / "masks").is_dir() and (tmp_path / "overlays").is_dir()


def test_other_things_in_the_folder_are_in_nobodys_way(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "a.jpg").touch()
    folder_at(tmp_path, ["overlays"]).claim(record_of(["overlays"]))
    assert (tmp_path / "masks").is_dir() and (tmp_path / "a.jpg").is_file()


def test_a_record_written_before_it_had_a_version_is_known(tmp_path):
    output = earlier_run(tmp_path / "out")
    record = json.loads((output / RECORD).read_text())
    del record["version"], record["num_images"], record["num_instances"], record["unreadable"]
    (output / RECORD).write_text(json.dumps(record))
    with pytest.raises(InstsegError, match=r"earlier run \(overlays, predictions.json\)"):
        folder_at(output, ["rgb"])


@pytest.mark.parametrize(
    "record",
    ["", "[]", "{}", '{"writes": 3}', '{"writes": null}', '{"writes": ["..", "/", "a.jpg", ["x"], 1]}', "\xff"],
)
def test_a_record_that_was_tampered_with_removes_nothing(tmp_path, record):
    (tmp_path / RECORD).write_bytes(record.encode("latin-1"))
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InstsegError, match=r"earlier run \(prediction_run.json\)"):
        folder_at(tmp_path, WRITES)
    folder_at(tmp_path, WRITES, overwrite=True).claim(record_of(WRITES))
    assert (tmp_path / "a.jpg").is_file()


def test_a_valid_record_that_names_what_no_writer_makes_removes_none_of_it(tmp_path):
    output = earlier_run(tmp_path / "out", ["overlays"])
    (output / "a.jpg").touch()
    (output / RECORD).write_bytes(msgspec.json.encode(record_of(["overlays", "..", "/", "a.jpg", "../out"])))
    folder_at(output, ["rgb"], overwrite=True).claim(record_of(["rgb"]))
    assert sorted(path.name for path in output.iterdir()) == ["a.jpg", RECORD]


def test_damaged_records_are_read_whole_or_refused_and_no_folder_of_theirs_is_lost(tmp_path, tries):
    ended = {"unreadable": [Unreadable("a.jpg", "empty")], "num_instances": {"car": 1}}
    folder_at(tmp_path, WRITES).claim(msgspec.structs.replace(record_of(WRITES), **ended))
    path = tmp_path / RECORD
    tried, refused = read_damaged_files(path, lambda: read_record(path, PredictionRecord, "predict anew"), tries)
    assert tried > tries and refused > tried / 2
    folder_at(tmp_path, WRITES, overwrite=True).claim(record_of(WRITES))
    tried, refused = read_damaged_files(path, lambda: folder_at(tmp_path, ["rgb"], overwrite=True), tries)
    assert refused == 0, "overwrite=true replaces a run whose record is damaged"


def test_a_folder_knows_what_lies_in_its_parts(tmp_path):
    folder = folder_at(earlier_run(tmp_path / "out"), ["rgb"], overwrite=True)
    assert folder.contains(tmp_path / "out/overlays/1.jpg")
    assert folder.contains(tmp_path / "out/rgb/more/1.png")
    assert not folder.contains(tmp_path / "out/1.jpg")
    assert not folder.contains(tmp_path / "overlays/1.jpg")


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InstsegError, match=r"output=.*file.out cannot be written to"):
        folder_at(tmp_path / "file/out", WRITES).claim(record_of(WRITES))
