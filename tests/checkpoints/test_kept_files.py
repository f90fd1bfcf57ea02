"""A checkpoint that comes from elsewhere cannot make a resumed training delete what is not its own."""

from __future__ import annotations

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from instseg.checkpoints.kept_files import check_kept_files
from instseg.core.records import RecordError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    return tmp_path / "run" / "checkpoints"


def restore(folder, **changed):
    callback = ModelCheckpoint(dirpath=folder)
    best = str(folder / "best.ckpt")
    state = {"best_model_path": best, "best_model_score": torch.ones(()), "best_k_models": {best: torch.ones(())}}
    check_kept_files([callback], {callback.state_key: state | changed}, folder / "last.ckpt")


def test_checkpoints_in_the_own_folder_are_restored_also_where_that_is_a_link(folder, tmp_path):
    restore(folder)
    restore(folder, best_model_path="", best_model_score=None, best_k_models={})
    (tmp_path / "alias").symlink_to(tmp_path / "run")
    restore(folder, last_model_path=str(tmp_path / "alias" / "checkpoints" / "last.ckpt"))


@pytest.mark.parametrize("name", [
    "/elsewhere", "/elsewhere/other.ckpt", "{}/../../other.ckpt", "{}/..", "{}", "{}/best", "{}/sub/best.ckpt",
    "local:///elsewhere/other.ckpt", "memory://best.ckpt", "best.ckpt", "{}/a\0.ckpt",
])  # fmt: skip
@pytest.mark.parametrize("key", ["best_model_path", "kth_best_model_path", "last_model_path", "best_k_models"])
def test_a_path_to_anywhere_else_is_refused(folder, name, key):
    path = name.format(folder)
    with pytest.raises(RecordError, match=r"callbacks, ModelCheckpoint: expected a checkpoint in .*checkpoints, "):
        restore(folder, **{key: {path: torch.ones(())} if key == "best_k_models" else path})


@pytest.mark.parametrize("changed", [{"best_model_path": 5}, {"best_model_score": "x"}, {"best_k_models": ["a"]}])
def test_a_state_of_another_type_is_named(folder, changed):
    with pytest.raises(RecordError, match=f"ModelCheckpoint: field {next(iter(changed))}.*: expected"):
        restore(folder, **changed)
