"""The overrides that Hydra stored are read typed; what Hydra was killed while writing is not an error."""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

import pytest
from reading import mutated_bytes
from run_starts import run_start

from instseg.core.errors import InstsegError
from instseg.runs.folders import kept_if_refused
from instseg.runs.manifest import add_start
from instseg.runs.stored_overrides import HYDRA, OVERRIDES, choices_of, stored_overrides

CHOICES = "hydra:\n  runtime:\n    version: 1.3\n    choices: {dataset: coco, model: r50fpn, callbacks: [ema, swa]}\n"
GROUPS = ("dataset", "model")


@pytest.fixture
def run(tmp_path):
    (tmp_path / ".hydra").mkdir()
    return tmp_path


def test_overrides_are_read_as_hydra_wrote_them(run):
    assert stored_overrides(run) == []
    (run / OVERRIDES).write_text("- dataset=coco\n- 'seed=1'\n")
    assert stored_overrides(run) == ["dataset=coco", "seed=1"]


def test_an_empty_file_stands_for_the_command_in_the_manifest(run):
    (run / OVERRIDES).touch()
    assert stored_overrides(run) == []
    add_start(run, run_start(command=["train.py", "dataset=shapes"]))
    assert stored_overrides(run) == ["dataset=shapes"]


def test_an_override_that_is_no_text_is_named_with_its_place(run):
    (run / OVERRIDES).write_text("- dataset=coco\n- {_target_: os.system}\n")
    with pytest.raises(InstsegError, match=r"overrides\.yaml: field \[1\]: expected `str`, found `object`"):
        stored_overrides(run)


def test_choices_are_known_only_where_the_whole_file_was_written(run):
    assert choices_of(run, GROUPS) is None
    for size in range(len(CHOICES)):
        (run / HYDRA).write_text(CHOICES[:size])
        assert choices_of(run, GROUPS) is None or size > CHOICES.index("swa")
    (run / HYDRA).write_text(CHOICES)
    assert choices_of(run, GROUPS) == {"dataset": "coco", "model": "r50fpn"}
    assert choices_of(run, ("optimizer",)) is None


def test_whatever_is_wrong_with_the_files_of_hydra_is_one_kind_of_error(run, tries):
    rng, refused = random.Random(0), 0
    for _ in range(tries // 2):
        (run / OVERRIDES).write_bytes(mutated_bytes(b"- dataset=coco\n- trainer.max_epochs=3\n- 'seed=1'\n", rng))
        (run / HYDRA).write_bytes(mutated_bytes(CHOICES.encode(), rng))
        choices_of(run, GROUPS)
        with contextlib.suppress(InstsegError):
            assert all(isinstance(override, str) for override in stored_overrides(run))
            continue
        refused += 1
    assert refused > 0.2 * tries // 2


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/nowhere")])
def test_overrides_that_are_no_file_are_refused_and_not_taken_for_none(run, make):
    make(run / OVERRIDES)
    with pytest.raises(InstsegError, match=r"overrides\.yaml: expected a file"):
        stored_overrides(run)


@pytest.mark.parametrize(
    ("is_saved", "error", "left"),
    [
        (False, InstsegError("holds another network"), "as it was"),
        (False, SystemExit(1), "as it was"),
        (False, SystemExit(130), "as it is now"),
        (True, InstsegError("the loss is not finite"), "as it is now"),
    ],
)
def test_a_run_that_refuses_to_be_resumed_keeps_the_settings_of_its_last_state(run, is_saved, error, left):
    (run / OVERRIDES).write_text("as it was")
    with pytest.raises(type(error)), kept_if_refused(["seed=1", f'resume="{run}"']):
        (run / OVERRIDES).write_text("as it is now")
        if is_saved:
            (run / "checkpoints").mkdir()
            (run / "checkpoints" / "last.ckpt").touch()
        raise error
    assert (run / OVERRIDES).read_text() == left


def test_the_settings_of_a_run_that_is_resumed_are_the_new_ones(run):
    (run / OVERRIDES).write_text("as it was")
    with kept_if_refused([f"resume={run}"]):
        (run / OVERRIDES).write_text("as it is now")
    assert (run / OVERRIDES).read_text() == "as it is now"
