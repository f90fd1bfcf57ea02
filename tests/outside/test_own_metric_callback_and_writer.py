"""A metric, a callback and a writer from outside the package, each one file on the path and one yaml, as a user types.

The files are those of docs/add_your_own.md.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typed_commands import QUICK, with_own_files


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("outside")


@pytest.fixture(scope="module")
def run(place) -> Path:
    """The folder of a training with the metric and the callback."""
    return (
        with_own_files(
            *("train.py", "metrics=mine", "callbacks=mine", "monitor.metric=val/count_error", "monitor.mode=min"),
            *("dataset.num_images={train: 4, val: 2, test: 2}", "trainer.max_epochs=2", "trainer.accelerator=cpu"),
            *("batch_size=2", *QUICK),
            *(f"outputs={place}/outputs", f"cache_dir={place}/data"),
        )
        .succeed()
        .last_line
    )


def test_the_metric_is_logged_under_its_name_beside_ours_and_can_choose_the_best_checkpoint(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert {"val/count_error", "test/count_error", "test/num_images"} <= metrics.keys()
    assert metrics["val/count_error"] >= 0
    assert (run / "checkpoints/best.ckpt").is_file()


def test_the_callback_takes_part_in_the_training(run):
    lines = (run / "epochs.txt").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["epoch 0", "epoch 1"]
    assert "val/count_error" in lines[0]


def test_the_writer_is_chosen_by_its_name_beside_ours(run, place):
    options = [f"checkpoint={run}", f"source={place}/data", f"output={place}/out", "limit=3", "device=cpu"]
    with_own_files("predict.py", "writers=mine", "save=[coco,captions]", "score_threshold=1", *options).succeed()
    names = {path.name for path in (place / "out").iterdir()}
    assert names == {"predictions.json", "captions.txt", "prediction_run.json"}
    lines = (place / "out/captions.txt").read_text().splitlines()
    assert len(lines) == 3 and all(line.endswith(": an empty scene") for line in lines)
    with_own_files("predict.py", "writers=mine", "save=coco", "overwrite=true", *options).succeed()
    assert not (place / "out/captions.txt").exists(), "a run replaces all that an earlier one wrote"


def test_a_metric_under_the_name_of_another_is_an_error_before_the_training(place):
    ended = with_own_files(
        *("train.py", "+metrics.segm_map._target_=count_error.CountError", *QUICK),
        *("dataset.num_images={train: 4, val: 2, test: 2}", "trainer.max_epochs=1", "trainer.accelerator=cpu"),
        *(f"outputs={place}/refused", f"cache_dir={place}/data"),
    ).wait()
    assert ended.code != 0 and "metrics.segm_map: expected names that nothing else is logged under" in ended.output
    assert not list((place / "refused").rglob("events.out.tfevents.*")), "nothing was logged yet"
