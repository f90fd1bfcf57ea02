"""What is printed after a run holds whatever names and folders a user has."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from perfect_network import PerfectNetwork, batch

from instseg.app.summary import print_summary
from instseg.checkpoints.operating_points import OperatingPoints, StoredPoint, StoredRecalibration, stored_estimate
from instseg.core.categories import Categories
from instseg.core.recalibration import Temperature
from instseg.evaluation.image_record import ImageRecord
from instseg.evaluation.image_results import ImageResults, write_image_results

NAMES = ("[/x]", "[red]car")


class OneImage:
    def __len__(self) -> int:
        return 1

    def instances_per_category(self):
        return np.array([1, 1])


def data_of():
    prepared = SimpleNamespace(indices={"val": OneImage(), "test": OneImage()})
    return SimpleNamespace(prepared=prepared, categories=Categories(NAMES))


def run_folder(tmp_path: Path, *checkpoints: str) -> Path:
    folder = tmp_path / "my [/runs]" / "shapes small" / "one"
    (folder / "checkpoints").mkdir(parents=True)
    for name in checkpoints:
        (folder / "checkpoints" / name).touch()
    return folder


def test_names_and_folders_are_printed_as_they_are(tmp_path, capsys):
    print_summary({"test/segm_map/[/x]": 0.5}, data_of(), run_folder(tmp_path, "best.ckpt"), "fit")
    printed = capsys.readouterr().out
    assert "[/x]" in printed and "[red]car" in printed
    assert "my [/runs]" in printed


def test_printed_commands_can_be_pasted_into_a_shell(tmp_path, capsys):
    folder = run_folder(tmp_path, "best.ckpt")
    (folder / "events.out.tfevents.1").touch()
    print_summary({}, data_of(), folder, "fit")
    lines = capsys.readouterr().out.splitlines()
    predict, look = (shlex.split(line) for line in lines if line.startswith(("predict:", "look:")))
    assert f"checkpoint={folder}" in predict
    assert look[-1] == str(folder.parents[1])


def test_tensorboard_is_not_advised_where_nothing_was_logged_for_it(tmp_path, capsys):
    print_summary({}, data_of(), run_folder(tmp_path, "best.ckpt"), "fit")
    printed = capsys.readouterr().out
    assert "predict:" in printed and "tensorboard --logdir" not in printed


def test_the_last_checkpoint_is_named_where_there_is_no_best(tmp_path, capsys):
    print_summary({}, data_of(), run_folder(tmp_path / "a", "last.ckpt"), "fit")
    assert "checkpoints/last.ckpt" in capsys.readouterr().out
    print_summary({}, data_of(), run_folder(tmp_path / "b", "best.ckpt", "last.ckpt"), "fit")
    assert "last.ckpt" not in capsys.readouterr().out


def test_the_end_of_a_training_and_the_interval_of_its_average_precision_are_printed(tmp_path, capsys):
    folder = run_folder(tmp_path, "best.ckpt")
    perfect = batch().ground_truth[0]
    records = [ImageRecord.build(PerfectNetwork().predict(batch(i))[0], replace(perfect, image_id=i)) for i in range(4)]
    write_image_results(folder / "test_images.npz", ImageResults(records, list("abcd"), Categories(("car", "person"))))
    print_summary({"test/segm_map": 1.0}, data_of(), folder, "fit", "Done: 3 of 3 epochs in 0:29.")
    printed = capsys.readouterr().out
    assert "Done: 3 of 3 epochs in 0:29." in printed
    assert "test mask AP 1.000, 95 % interval 1.000 to 1.000 (4 images)" in printed
    assert "val mask AP" not in printed
    assert "with all detections" not in printed


def test_the_thresholds_of_a_checkpoint_are_a_column_with_their_goal_below_it(tmp_path, capsys):
    numbers = [stored_estimate(value, float("nan"), float("nan")) for value in (0.62, 0.7, 0.4, 0.5)]
    points = OperatingPoints("precision:0.9", 7, [StoredPoint(NAMES[0], *numbers, is_reached=False)])
    print_summary({"test/segm_map": 0.5}, data_of(), run_folder(tmp_path, "best.ckpt"), "test", points=points)
    printed = capsys.readouterr().out
    rows = {line.split()[1]: line for line in printed.splitlines() if line.startswith("│ [")}
    assert "0.620" in rows["[/x]"] and rows["[red]car"].rstrip("│ ").endswith("–")
    assert "threshold: precision 0.9 on 7 validation images, used by predict" in printed
    not_reached = "precision 0.9 is not reached by [/x] (0.700); the threshold comes as close as any"
    assert not_reached in " ".join(printed.split())
    print_summary({"test/segm_map": 0.5}, data_of(), run_folder(tmp_path / "old", "best.ckpt"), "test")
    assert "threshold:" not in capsys.readouterr().out
    recalibrated = OperatingPoints("f1", 7, [], StoredRecalibration(Temperature(2.0), 0.25, 0.125))
    folder = run_folder(tmp_path / "recalibrated", "best.ckpt")
    print_summary({"test/segm_map": 0.5}, data_of(), folder, "test", points=recalibrated)
    said = "are recalibrated, temperature: calibration error 0.250, recalibrated 0.125 on validation images"
    assert said in " ".join(capsys.readouterr().out.split())


def test_an_average_precision_that_the_limit_of_coco_lowers_is_printed_beside_that_of_all_detections(tmp_path, capsys):
    metrics = {"test/segm_map": 0.25, "test/segm_map_all": 0.75}
    print_summary(metrics, data_of(), run_folder(tmp_path, "best.ckpt"), "test")
    printed = capsys.readouterr().out
    table, note = printed.split("test mask AP with")
    assert "0.750" in next(line for line in table.splitlines() if "all, with all detections" in line)
    assert "all detections: 0.750 (segm_map_all). COCO's 0.250 counts only the best 100" in " ".join(note.split())
