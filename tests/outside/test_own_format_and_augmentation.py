"""A dataset format and an augmentation from outside the package, each one file on the path and one yaml."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import write_picture
from typed_commands import NETWORK, with_own_files


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder of a training on a table of boxes with images that fade."""
    place = tmp_path_factory.mktemp("outside")
    names = [f"{i}.png" for i in range(8)]
    for seed, name in enumerate(names):
        write_picture(place / "labels" / name, (48, 64), seed)
    lines = [f"{name},{category},4,5,30,40" for name in names for category in ("cup", "plate")]
    (place / "labels/boxes.csv").write_text("\n".join([*lines, "0.png,cup,4"]))
    return (
        with_own_files(
            *("train.py", "dataset=box_table", "augmentation=fade"),
            *(f"dataset.root={place}/labels", "model=small", "trainer.max_epochs=1", "trainer.accelerator=cpu"),
            *("batch_size=2", "num_workers=0", "report=false", "trainer.num_sanity_val_steps=0", *NETWORK),
            *("augmentation.min_size=48", "augmentation.max_size=64", "callbacks.curves=null"),
            *(f"outputs={place}/outputs", f"cache_dir={place}/data"),
        )
        .succeed()
        .last_line
    )


def test_the_format_is_read_divided_and_audited_as_ours_are(run):
    splits = json.loads((run / "splits.json").read_text())
    assert sorted(name for names in splits.values() for name in names) == [f"{i}.png" for i in range(8)]
    findings = json.loads((run / "findings.json").read_text())
    assert findings["all"]["label_invalid"]["names"] == ["line 17 of boxes.csv"]
    assert "test/segm_map/cup" in json.loads((run / "metrics.json").read_text())


def test_the_augmentation_is_in_the_settings_of_the_run(run):
    assert "fade.Fade" in (run / "config.yaml").read_text()
