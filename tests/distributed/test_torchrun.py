"""torchrun itself: its ranks share a run, and go on in it when it starts them again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from typed_commands import ROOT

TWO = (
    "dataset.num_images={train: 4, val: 2, test: 2}", "num_workers=0", "callbacks.progress=null", "batch_size=1",
    "callbacks.pictures=null", "callbacks.curves=null", "trainer=ddp", "trainer.accelerator=cpu",
    "trainer.num_sanity_val_steps=0", "trainer.max_epochs=2",
)  # fmt: skip
FAULT = ("+callbacks.fault._target_=faults.FailOnRank", "+callbacks.fault.rank=1", "+callbacks.fault.step=2")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1")


def torchrun(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folders = (f"outputs={place}/out", f"cache_dir={place}/data")
    return subprocess.run(
        [sys.executable, *TORCHRUN, "train.py", *TWO, *folders, *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}/tests"}, capture_output=True, text=True, check=False,
        timeout=280,
    )  # fmt: skip


def test_a_rank_that_fails_is_named_and_all_start_again_from_the_last_checkpoint(tmp_path):
    done = torchrun(tmp_path, *FAULT)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "rank 1 (" in done.stdout + done.stderr
    (run,) = (tmp_path / "out").glob("shapes_small/2*")
    assert len(json.loads((run / "manifest.json").read_text())["starts"]) == 2
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4


def test_a_number_of_processes_that_differs_from_torchruns_is_refused(tmp_path):
    done = torchrun(tmp_path, "trainer.devices=4")
    assert done.returncode != 0
    assert "trainer.devices=4, but the launcher has started 2 processes" in " ".join(done.stderr.split())
