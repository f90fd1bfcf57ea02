"""A repeated run is compared with the first one in all that could make a difference, and in what came out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console
from run_starts import run_start

from instseg.app.arguments import complete_arguments
from instseg.checkpoints.description import FORMAT
from instseg.checkpoints.files import AtomicCheckpointIO
from instseg.checkpoints.reproduce import compare_runs, print_comparison, write_comparison
from instseg.core.errors import InstsegError
from instseg.core.overrides import quoted
from instseg.runs.manifest import Git, Hardware, add_start


def made_run(folder: Path, weight: float = 1.0, ap: float = 0.5, lr: float = 1e-3, **start: object) -> Path:
    for name in ("best.ckpt", "last.ckpt"):
        content = {"instseg": {"format": FORMAT}, "state_dict": {"weight": torch.tensor([weight, 0.0])}}
        AtomicCheckpointIO().save_checkpoint(content, folder / "checkpoints" / name)
    add_start(folder, run_start(**start))
    (folder / "config.yaml").write_text(f"optimizer: {{lr: {lr}}}\nrun_dir: {folder}\n")
    metrics = {"test/segm_map": ap, "images_per_second": weight}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def printed(original: Path, repeated: Path) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    print_comparison(compare_runs(original, repeated), original, console)
    return console.export_text()


def test_a_run_that_comes_out_the_same_is_said_to_be(tmp_path):
    first, second = made_run(tmp_path / "first"), made_run(tmp_path / "second")
    comparison = compare_runs(first, second)
    assert comparison.is_same_result
    assert not comparison.environment | comparison.settings | comparison.data | comparison.metrics
    assert "the same weights, bit for bit" in printed(first, second)
    assert "all 1 the same" in printed(first, second)


def test_every_difference_is_named_with_both_values(tmp_path):
    first = made_run(tmp_path / "first")
    changed = {
        "packages": {"torch": "2.16"},
        "hardware": Hardware(platform="Linux", torch_threads=8, gpus=["H100"]),
        "data_fingerprint": "ba2",
        "git": Git(commit="abc", dirty_diff="+a\n+b\n", untracked=["c.py"]),
        "processes": 2,
    }
    second = made_run(tmp_path / "second", weight=1.25, ap=0.4, lr=1e-2, **changed)
    write_comparison(compare_runs(first, second), first, tmp_path / "reproduce.json")
    report = json.loads((tmp_path / "reproduce.json").read_text())
    assert report["environment"] == {
        "git.dirty_diff": ["none", "2 lines changed"],
        "git.untracked": [[], ["c.py"]],
        "hardware.torch_threads": [1, 8],
        "packages.torch": ["2.15", "2.16"],
        "processes": [1, 2],
    }
    assert report["settings"] == {"optimizer.lr": [0.001, 0.01]}
    assert report["data"] == {"fingerprint": ["f00", "ba2"]}
    assert report["metrics"] == {"test/segm_map": [0.5, 0.4]}
    assert report["weights"] == {"best.ckpt": 0.25, "last.ckpt": 0.25}
    assert report["same_result"] is False
    assert "differs by 0.25" in printed(first, second)


def test_a_run_is_repeated_with_what_it_was_started_with_and_its_seed(tmp_path):
    run = made_run(tmp_path / "run")
    (run / ".hydra").mkdir()
    (run / ".hydra/overrides.yaml").write_text("- dataset=coco\n- outputs=elsewhere\n")
    typed = [quoted("reproduce", run), "trainer=cpu"]
    assert complete_arguments(typed) == ["dataset=coco", "seed=3", *typed]


def test_what_was_typed_is_found_in_the_manifest_where_the_process_was_killed_while_hydra_wrote_it(tmp_path):
    run = made_run(tmp_path / "run")
    (run / ".hydra").mkdir()
    (run / ".hydra/overrides.yaml").write_text("")
    assert "dataset=shapes" in complete_arguments([f"reproduce={run}"])


@pytest.mark.parametrize(("overrides", "said"), [
    ("- dataset=coco", r"no metrics\.json, so it has not ended.*: instseg train resume="),
    ("- stage=test", "has measured a checkpoint"),
])  # fmt: skip
def test_a_run_with_nothing_to_compare_is_refused_before_any_work(tmp_path, overrides, said):
    run = made_run(tmp_path / "run")
    (run / ".hydra").mkdir()
    (run / ".hydra/overrides.yaml").write_text(overrides)
    (run / "metrics.json").unlink()
    with pytest.raises(InstsegError, match=said):
        complete_arguments([f"reproduce={run}"])


def test_a_folder_without_a_record_cannot_be_repeated(tmp_path):
    with pytest.raises(InstsegError, match=r"manifest\.json: expected a file, found none"):
        complete_arguments([f"reproduce={tmp_path}"])
