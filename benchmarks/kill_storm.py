"""Claim: a training that is killed again and again, at random moments, ends with the same bits as one that is not.

    python benchmarks/kill_storm.py --kills 50

A short training is started with the command line, killed after a random time, and resumed by ``resume=auto``,
until it ends; then the next one begins. Of ten kills six are SIGKILL, two SIGTERM, and two cut the newest checkpoint
off besides, as a power cut may. Each ended run is compared with one that was left alone: last and best weights, the
state of the optimizer, every point of every curve, and metrics.json. Processes are forked from one that has torch.
"""

from __future__ import annotations

import json
import os
import random
import runpy
import signal
import sys
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import instseg.app.run  # noqa: F401  # loaded once for all processes
from comparing import Row, figure, main, parser
from instseg.training.tensorboard import read_scalars

ROOT = Path(__file__).parents[1]
SHORT = (
    "dataset.num_images={train: 12, val: 4, test: 2}", "batch_size=2", "num_workers=0", "trainer=cpu",
    "trainer.max_epochs=4", "trainer.log_every_n_steps=1", "trainer.enable_progress_bar=false",
    "trainer.checkpoint_every_minutes=1e-9", "callbacks=ema", "callbacks.ema.decay=0.9", "callbacks.curves=null",
    "monitor.metric=val/loss", "monitor.mode=min", "augmentation.min_size=64", "augmentation.max_size=64",
)  # fmt: skip
"""24 steps, each of which is saved, and four validations, with averaged weights."""
CUT_OFF = "SIGKILL and the newest checkpoint cut off"
KINDS = ("SIGKILL",) * 6 + ("SIGTERM",) * 2 + (CUT_OFF,) * 2
HALF_WRITTEN = "killed while a checkpoint was being written"
MEASURED_TIME = "images_per_second"


def start(place: Path, outputs: Path) -> int:
    """The command line in a process of its own; resumes a run that was begun."""
    begun = any(outputs.glob("*/*/.hydra/overrides.yaml"))
    arguments = [*(["resume=auto"] if begun else SHORT), f"outputs={outputs}", f"cache_dir={place / 'data'}"]
    child = os.fork()
    if child == 0:
        _run([str(ROOT / "train.py"), *arguments], place / "output.txt")
    return child


def _run(argv: list[str], output: Path) -> None:
    sys.argv = argv
    with output.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    code = 99
    try:
        runpy.run_path(argv[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os._exit(code)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def has_ended_within(child: int, seconds: float) -> int | None:
    """The exit code, or None where it still runs then."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    return None


@dataclass
class Storm:
    """Runs that are killed at random moments, each until it has ended."""

    place: Path
    wanted: int  # kills, over all runs
    seconds: float  # that a run takes when left alone
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    half_written: int = 0
    _kinds: list[str] = field(default_factory=list)

    def run(self, number: int) -> Path:
        """Its outputs folder."""
        outputs = self.place / f"outputs_{number}"
        while True:
            child = start(self.place, outputs)
            is_left_alone = self.kills.total() >= self.wanted
            code = ended(child) if is_left_alone else has_ended_within(child, self._moment())
            if code is None:
                code = self._kill(child, outputs)
            if code == 0:
                return outputs
            if code not in (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM):
                raise SystemExit(
                    f"a run has ended with code {code}:\n{(self.place / 'output.txt').read_text()[-3000:]}"
                )

    def _moment(self) -> float:
        return self.chance.uniform(0.1, self.seconds / 2)

    def _kill(self, child: int, outputs: Path) -> int:
        """Stop the process and write down what that was; its exit code, 0 where it was quicker."""
        self._kinds = self._kinds or self.chance.sample(KINDS, len(KINDS))
        kind = self._kinds.pop()
        os.kill(child, signal.SIGTERM if kind == "SIGTERM" else signal.SIGKILL)
        if (code := ended(child)) == 0:
            return code
        newest = max(outputs.glob("*/*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime, default=None)
        if newest is None or (kind == CUT_OFF and not has_another_before(newest)):
            self._kinds.append(kind)  # another time: there is nothing yet that a power cut would reach
            kind = "SIGKILL" if newest else f"{kind.split(' ')[0]}, before the first checkpoint"
        elif kind == CUT_OFF:
            os.truncate(newest, self.chance.randrange(newest.stat().st_size))
        self.kills[kind] += 1
        self.half_written += bool(list(outputs.glob(f"*/*/checkpoints/.*.{child}.part")))
        return code


def has_another_before(last: Path) -> bool:
    """Not so where the next one was about to take its name: both names are then those of one file, long on the disk."""
    previous = last.with_name("previous.ckpt")
    return previous.is_file() and not previous.samefile(last)


def left_by(outputs: Path) -> dict[str, Any]:
    """All that a run leaves but measured time."""
    (run,) = outputs.glob("*/*")
    last, best = (torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True) for name in ("last", "best"))
    metrics = json.loads((run / "metrics.json").read_text())
    metrics.pop(MEASURED_TIME, None)
    parts = {"last weights": last["state_dict"], "weights that are averaged": last["current_model_state"]}
    parts |= {"optimizer": last["optimizer_states"], "best weights": best["state_dict"], "metrics": metrics}
    curves = {name: curve for name, curve in read_scalars(run).items() if name != MEASURED_TIME}
    return parts | {"curves": curves}


def differing(ours: Any, theirs: Any, where: str) -> list[str]:
    """Names of what is not the same, bit for bit; undefined numbers are equal."""
    if isinstance(ours, torch.Tensor):
        return [] if torch.equal(ours, theirs) else [where]
    if isinstance(ours, dict) and isinstance(theirs, dict):
        lacking = [f"{where} {key} (only in one)" for key in sorted(map(str, ours.keys() ^ theirs.keys()))]
        return lacking + [
            name for key in ours.keys() & theirs for name in differing(ours[key], theirs[key], f"{where} {key}")
        ]
    if isinstance(ours, list | tuple) and len(ours) == len(theirs):
        return [name for pair in zip(ours, theirs, strict=True) for name in differing(*pair, where)]
    return [] if ours == theirs or (ours != ours and theirs != theirs) else [f"{where}: {ours}, alone {theirs}"]


def measure(arguments: Namespace) -> Iterator[Row]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        begin = time.monotonic()
        if ended(start(place, place / "alone")) != 0:
            raise SystemExit((place / "output.txt").read_text()[-3000:])
        seconds = time.monotonic() - begin
        alone = left_by(place / "alone")
        storm = Storm(place, 6 if arguments.quick else arguments.kills, seconds, random.Random(arguments.seed))
        runs = compared_runs(storm, alone)
        fallen_back = (place / "output.txt").read_text().count("Resuming from previous.ckpt")
    points = sum(len(steps) for steps, _ in alone["curves"].values())
    yield figure("one run, left alone", f"{seconds:.1f} s, {points} points of {len(alone['curves'])} curves")
    for kind, count in sorted(storm.kills.items()):
        yield figure(kind, f"{count} kills")
    yield figure(HALF_WRITTEN, f"{storm.half_written} times")
    yield figure("resumed from the checkpoint before", f"{fallen_back} times")
    agree = f"{', '.join(alone)}: bit for bit"
    yield figure("all kills", f"{storm.kills.total()} in {runs} runs", "all the same", agree=agree)


def compared_runs(storm: Storm, alone: dict[str, Any]) -> int:
    """How many runs the storm took; each is compared with the one left alone, the first that differs ends all."""
    runs = 0
    while storm.kills.total() < storm.wanted:
        left = left_by(storm.run(runs))
        found = [name for part in alone for name in differing(left[part], alone[part], part)]
        if found:
            raise SystemExit(f"run {runs} differs from the one left alone: {'; '.join(found[:10])}")
        runs += 1
        print(f"run {runs} is the same; {storm.kills.total()} of {storm.wanted} kills", flush=True)
    return runs


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--seed", type=int, default=0, help="of the random moments")
    main(__doc__, measure, options)
