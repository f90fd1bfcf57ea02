"""Claim: the code has changed and nothing that is learnt: a seeded training has the curve that it had before.

    python benchmarks/same_curve.py b53b960        # the code of that commit against that of the working tree

Both train with the command line in float64, where the order of sums is lost in the rounding to what is written: the
points of all curves, and so all draws, matches and gradients, have to be the same to the last of TensorBoard's digits.
In float32 an RoI more or less soon makes two trainings of the same code on two machines differ. Not in it are the
product of models/linear.py, which is for float32, and frozen norms, which no training from scratch has; tests/models
has both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from comparing import Row, figure, main, parser
from instseg.training.tensorboard import OVERVIEW, read_scalars

ROOT = Path(__file__).parents[1]
CODE = ("src", "conf", "train.py")
LEFT_OUT = ("images_per_second", "epoch", OVERVIEW)  # a measured time, steps by another name, and what is logged twice
TRAINING = (
    "dataset.num_images={train: 16, val: 4, test: 4}", "batch_size=2", "num_workers=0", "trainer=cpu", "seed=3",
    "model=r18fpn", "model.weights=none", "trainer.precision=64-true", "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1", "trainer.enable_progress_bar=false", "augmentation.min_size=160",
    "augmentation.max_size=256", "monitor.metric=val/loss", "monitor.mode=min",  # AP is 0 so early, of all epochs
)  # fmt: skip

Curves = dict[str, tuple[list[int], list[float]]]


def curves_of(tree: Path, outputs: Path) -> Curves:
    """Train with the code of a source tree, and read the curves that it wrote."""
    command = [sys.executable, "train.py", *TRAINING, f"outputs={outputs}", f"cache_dir={outputs / 'data'}"]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tree}: the training has ended with {done.returncode}\n{done.stderr[-2000:]}")
    (run,) = (path.parent for path in outputs.glob("*/*/checkpoints"))
    return {name: curve for name, curve in read_scalars(run).items() if not name.startswith(LEFT_OUT)}


def tree_of(commit: str, place: Path) -> Path:
    """Extract the code of a commit into a new folder."""
    place.mkdir()
    archive = subprocess.run(["git", "archive", commit, *CODE], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "x"], cwd=place, input=archive.stdout, check=True)
    return place


def differing(before: Curves, now: Curves) -> list[str]:
    """Name the curves that differ or are gone; an AP that is undefined in both does not, nor does a new curve."""
    return [name for name in sorted(before) if repr(before[name]) != repr(now.get(name))]


def measure(arguments: argparse.Namespace) -> Iterator[Row]:
    with TemporaryDirectory() as scratch:
        place = Path(scratch)
        before = curves_of(tree_of(arguments.commit, place / "before"), place / "outputs_before")
        now = curves_of(ROOT, place / "outputs_now")
    if different := differing(before, now):
        raise SystemExit(f"not the curves of {arguments.commit}: {', '.join(different)}")
    points = sum(len(steps) for steps, _ in before.values())
    yield figure(f"{len(before)} curves with the code of {arguments.commit}", f"{points} points", agree="all identical")
    if new := sorted(now.keys() - before.keys()):
        yield figure(f"curves that it does not have: {', '.join(new)}", f"{len(new)} curves")


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("commit", help="whose code is the earlier one")
    main(__doc__, measure, options)
