"""Help, completion, and one mistake from start to end; test_typical_mistakes has the others."""

import os
import subprocess
import sys
from pathlib import Path

from typed_commands import Command

from instseg.app.wrapped_help import WIDTH

ROOT = Path(__file__).parents[2]


def test_help_shows_groups_and_keys_with_examples():
    command = [sys.executable, "train.py", "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "r18fpn, r50fpn, r50fpn_v2, small" in result.stdout
    assert "python train.py dataset=auto dataset.root=DIR" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= WIDTH
    assert len(result.stdout.splitlines()) < 60


def test_the_help_of_predict_shows_its_own_keys_as_the_config_explains_them():
    command = [sys.executable, "predict.py", "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "  score_threshold: auto      # instances below are left out. auto: the operating points" in result.stdout
    assert "_target_" not in result.stdout and len(result.stdout.splitlines()) < 80


def test_shell_completion_knows_the_options():
    environment = {**os.environ, "COMP_LINE": "train.py model=r"}
    command = [sys.executable, "train.py", "-sc", "query=bash"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert "model=r50fpn" in result.stdout


def test_a_command_that_stops_before_any_work_leaves_no_folder(tmp_path):
    done = Command([f"outputs={tmp_path}/my/outputs", "batch_size=0"]).wait()
    assert done.code == 1 and "Traceback" not in done.output
    assert "batch_size=0: expected a whole number from 1 upwards" in done.output
    assert not list(tmp_path.iterdir())
