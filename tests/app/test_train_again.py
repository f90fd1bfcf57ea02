"""The command that predict.py prints for after the correction."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from instseg.app.check_config import checked_predict_config
from instseg.app.compose import compose
from instseg.app.train_again import how_to_train_again


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a checkpoint."""
    for folder in ("run/checkpoints", "run/.hydra"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "run/checkpoints/best.ckpt").touch()
    return tmp_path / "run"


def advice(run: Path | None, save: str, *stored: str) -> list[str]:
    """The words of what is printed; ``stored`` are the overrides of the run."""
    which = "weights=coco" if run is None else f"checkpoint={run}"
    if run is not None:
        (run / ".hydra/overrides.yaml").write_text("".join(f"- {override}\n" for override in stored))
    config = checked_predict_config(compose("predict", [which, "source=photos", "output=out", f"save={save}"]))
    return shlex.split(how_to_train_again(config))


def test_the_earlier_command_is_given_with_the_corrected_labels_and_the_earlier_weights(run):
    stored = ("dataset=auto", "'dataset.root=\"my folder\"'", "model.weights=coco", "stage=fit", "trainer.max_epochs=9")
    words = advice(run, "[overlays,labelme]", *stored)
    assert words[:2] == ["correct", "out/labelme,"]
    assert words[-5:] == [
        *("dataset=auto", 'dataset.root="my folder"', "trainer.max_epochs=9"),
        *("dataset.corrected=out/labelme", f"model.weights={run}"),
    ]


def test_what_was_corrected_before_is_kept(run):
    words = advice(run, "labelme", "dataset=auto", "dataset.root=photos", "'dataset.corrected=[a,b]'")
    assert "dataset.corrected=[a,b,out/labelme]" in words


@pytest.mark.parametrize(("save", "place"), [("labelstudio", "EXPORT.json"), ("coco", "out/predictions.json")])
def test_without_a_run_of_own_labels_their_folder_is_left_open(save, place):
    words = advice(None, save)
    assert words[-3:] == ["dataset=auto", "dataset.root=EARLIER_LABELS", f"dataset.corrected={place}"]


def test_for_label_studio_the_file_to_import_is_named_and_how(run):
    words = " ".join(advice(run, "labelstudio", "dataset=auto", "dataset.root=photos"))
    assert "correct out/labelstudio/tasks.json in Label Studio, as out/labelstudio/HOW_TO_IMPORT.txt says" in words


def test_a_run_of_an_experiment_in_a_folder_of_own_configs_is_trained_again_with_both(run):
    (run / "config.yaml").write_text("dataset: {root: photos, corrected: null}\n")
    source = "{path: /my conf, provider: command-line}"
    (run / ".hydra/hydra.yaml").write_text(f"hydra: {{runtime: {{choices: {{}}, config_sources: [{source}]}}}}\n")
    words = advice(run, "labelme", "experiment=first", "trainer.max_epochs=9")
    assert words[-6:] == [
        *("--config-dir", "/my conf", "experiment=first", "trainer.max_epochs=9"),
        *("dataset.corrected=out/labelme", f"model.weights={run}"),
    ]


def test_a_run_of_made_or_downloaded_data_leaves_the_folder_open(run):
    (run / "config.yaml").write_text("dataset: {name: shapes}\n")
    assert "dataset.root=EARLIER_LABELS" in advice(run, "labelme", "dataset=shapes")


def test_a_run_that_only_looks_gets_no_advice(run):
    assert advice(run, "[overlays,coco,csv]", "dataset=auto", "dataset.root=photos") == []
