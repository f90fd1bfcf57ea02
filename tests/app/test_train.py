"""The commands of the README, typed as a user types them, on a few generated pictures."""

import csv
import json
import re
from pathlib import Path

import pytest
import torch
from typed_commands import NETWORK, Command, Done, wait_until

TINY = (
    *("trainer.accelerator=cpu", "dataset.num_images={train: 8, val: 3, test: 3}", "batch_size=4", "num_workers=0"),
    *("dataset.image_side_px=[64,96]", "augmentation.min_size=64", "augmentation.max_size=96", *NETWORK),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def started(place: Path, script: str, *arguments: str) -> Command:
    cache = [f"cache_dir={place}/data"] if script == "train.py" else []
    return Command([f"outputs={place}/outputs", *cache, *arguments], script=script)


def run(place: Path, script: str, *arguments: str) -> Done:
    done = started(place, script, *arguments).wait()
    assert done.code == 0, done.output[-3000:]
    return done


@pytest.fixture(scope="module")
def trained(place):
    """The folder of a run of two epochs."""
    return run(place, "train.py", *TINY, "trainer.max_epochs=2").last_line


def test_a_run_owns_a_folder_that_the_last_line_names_and_that_holds_everything(trained, place):
    assert trained.parent == place / "outputs" / "shapes_small"
    expected = {
        ".hydra", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "config.yaml", "manifest.json", "metrics.json",
        "curves.png", "history.csv", "train.log", "splits.json", "findings.json", "pictures/train_batch.png",
        "pictures/val_predictions_00.png", "pictures/test_predictions_00.png",
    }  # fmt: skip
    assert not {name for name in expected if not (trained / name).exists()}
    assert list(trained.glob("events.out.tfevents.*"))


def test_each_validation_is_a_row_of_the_history_and_a_line_of_the_log(trained):
    with (trained / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "2"), ("2", "4")]
    assert all(float(row[name]) > 0 for row in rows for name in ("train/loss", "val/loss", "lr", "images_per_second"))
    log = (trained / "train.log").read_text()
    assert [f"{number}/2" in log for number in (1, 2)] == [True, True]
    assert log.count("mask AP") == 1


def test_a_training_says_at_its_start_what_it_is_and_how_large(trained):
    log = (trained / "train.log").read_text()
    for said in ("2 epochs, 4 steps of 4 images", "train 8 images, val 3 images, test 3 images", "learning rate 0.0",
                 "CPU, 32-true, 1 process", "MaskRCNN, ", f"folder   {trained}", "learns from scratch"):  # fmt: skip
        assert said in log
    assert "transferred" not in log, "there is no table of weights where there are none"


def test_the_best_checkpoint_holds_weights_and_the_last_one_what_a_training_resumes_from_besides(trained):
    best, last = (trained / "checkpoints" / name for name in ("best.ckpt", "last.ckpt"))
    weights = torch.load(best, weights_only=True)["state_dict"].values()
    num_bytes = sum(weight.numel() * weight.element_size() for weight in weights)
    assert num_bytes < best.stat().st_size < 1.05 * num_bytes + 200_000
    assert last.stat().st_size > 2 * best.stat().st_size


def test_metrics_are_flat_and_hold_losses_and_average_precision_of_val_and_test(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    assert {"val/segm_map", "val/bbox_map", "val/loss_mask", "test/segm_map", "test/segm_map_50"} <= metrics.keys()
    assert all(isinstance(value, float) for value in metrics.values())


def test_the_best_checkpoint_holds_the_operating_points_of_its_validation(trained):
    about = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)["instseg"]["operating_points"]
    metrics = json.loads((trained / "metrics.json").read_text())
    assert (about["goal"], about["num_images"]) == ("f1", 3)
    stored = {f"val/operating_point/{point['category']}": point["threshold"]["value"] for point in about["points"]}
    assert stored == {name: value for name, value in metrics.items() if name.startswith("val/operating_point/")}


def test_the_manifest_says_what_the_run_was_made_of(trained):
    (start,) = json.loads((trained / "manifest.json").read_text())["starts"]
    assert start["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert start["command"][0] == "python train.py" and "trainer.max_epochs=2" in start["command"]
    assert {"seed", "git", "hardware", "data_fingerprint"} <= start.keys()


def test_a_checkpoint_alone_is_enough_and_loads_without_pickled_code(trained):
    checkpoint = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)
    about = checkpoint["instseg"]
    assert about["categories"] == ["disc", "triangle", "ring"]
    assert about["preprocessing"] == {"min_size": 64, "max_size": 96, "value_range": None}
    assert about["config"]["model"]["backbone"] == "resnet18_half"


def test_stage_test_measures_the_checkpoint_again_with_the_same_result(trained, place):
    again = run(place, "train.py", "stage=test", f"checkpoint={trained}", "trainer=cpu").last_line
    assert again.parent == trained.parent
    before, after = (json.loads((folder / "metrics.json").read_text()) for folder in (trained, again))
    tested = {name for name in before if name.startswith("test/")}
    assert tested
    assert {name: after[name] for name in tested} == pytest.approx({name: before[name] for name in tested}, abs=1e-5)


def test_predict_turns_the_checkpoint_into_pictures_and_files(trained, place):
    photos = next((place / "data").glob("shapes_*")) / "test"
    (place / "broken.jpg").write_bytes(b"no photo")
    arguments = (f"checkpoint={trained}", "score_threshold=0.0", "limit=2", "device=cpu", f"output={place}/predictions")
    run(place, "predict.py", f"source={photos}", *arguments)
    content = json.loads((place / "predictions" / "predictions.json").read_text())
    assert [category["name"] for category in content["categories"]] == ["disc", "triangle", "ring"]
    assert len(content["images"]) == 2
    assert len(list((place / "predictions" / "overlays").rglob("*.*"))) == 2
    assert (place / "predictions" / "predictions.csv").read_text().startswith("file")


def test_predict_names_what_it_cannot_read_and_says_so_by_its_exit_code(trained, place):
    photo = next((next((place / "data").glob("shapes_*")) / "test").iterdir())
    broken = place / "broken.jpg"
    broken.write_bytes(b"no photo")
    arguments = (f"checkpoint={trained}", f"source=[{photo},{broken}]", "device=cpu", f"output={place}/mixed")
    done = started(place, "predict.py", *arguments).wait()
    assert done.code == 2
    assert "broken.jpg" in done.output
    assert re.search(r"score threshold:  .*(best F1 on 3 validation images|nothing was found in val)", done.output)
    assert len(json.loads((place / "mixed" / "predictions.json").read_text())["images"]) == 1


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_to_resume_from_and_curves(place):
    command = started(place, "train.py", *TINY, "trainer.max_epochs=500", f"outputs={place}/interrupted")
    pattern = "interrupted/shapes_small/*/checkpoints/last.ckpt"
    wait_until(lambda: list(place.glob(pattern)), command)
    command.press_ctrl_c()
    done = command.wait()
    assert done.code == 130
    (last,) = place.glob(pattern)
    assert "resume=" in done.output
    assert "Traceback" not in done.output
    assert torch.load(last, weights_only=True)["global_step"] >= 2
    assert (last.parents[1] / "curves.png").is_file()
    step = torch.load(last, weights_only=True)["global_step"]
    more = ("resume=auto", "trainer.max_epochs=500", f"trainer.max_steps={step + 3}", f"outputs={place}/interrupted")
    run(place, "train.py", *TINY, *more)
    assert torch.load(last, weights_only=True)["global_step"] == step + 3
