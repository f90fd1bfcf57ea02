"""Help, completion, and errors that say what was meant."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typed_commands import Command

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("optimizer.lrr=1", "optimizer.lrr: there is no such key. Did you mean optimizer.lr?"),
        ("lr=1", "lr: there is no such key. Did you mean optimizer.lr?"),
        ("mdel=r50fpn", "mdel: there is no such key. Did you mean model?"),
        ("model=r50", "model=r50: there is no such option. Did you mean r50fpn?"),
        ("datset.root=x", "datset.root: there is no such key. Did you mean dataset"),
        (
            "dataset.root=x",
            "dataset.root: there is no such key. dataset=auto, campus, cars_signboards, coco, labelme, ",
        ),
        ("epochs=10", "epochs: there is no such key. Type trainer.max_epochs=10"),
        ("photo.jpg", "'photo.jpg' is not of the form key=value"),
        ("dataset.name=a=b [c]", "a folder's, is quoted twice: 'dataset.name=\"a=b [c]\"'"),
    ],
)
def test_a_misspelt_override_is_answered_with_what_was_meant(argument, message):
    done = Command([argument]).wait()
    assert done.code == 1
    assert message in done.output
    assert "Traceback" not in done.output


def test_help_shows_groups_and_keys_with_examples():
    command = [sys.executable, "train.py", "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "model: r18fpn, r50fpn, r50fpn_v2, small" in result.stdout
    assert "python train.py dataset=auto dataset.root=DIR" in result.stdout
    assert len(result.stdout.splitlines()) < 60


def test_shell_completion_knows_the_options():
    environment = {**os.environ, "COMP_LINE": "train.py model=r"}
    command = [sys.executable, "train.py", "-sc", "query=bash"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert "model=r50fpn" in result.stdout


def test_a_command_that_stops_before_any_work_leaves_no_folder(tmp_path):
    done = Command([f"outputs={tmp_path}/my/outputs", "batch_size=0"]).wait()
    assert "batch_size=0: expected a whole number from 1 upwards" in done.output
    assert not list(tmp_path.iterdir())
