"""Claim: the command line answers at once, and a training starts about as soon as torch can be imported.

    python benchmarks/startup.py

Every figure is the time of a child process from its start: ``python train.py --help``; a process that imports torch,
torchvision and Lightning and nothing else, which no training with them gets below; one that also imports all that
``train.py`` needs; and ``python train.py`` on generated pictures that lie in the cache, until its first training step.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback

from comparing import Row, alternately, compared, figure, main

ROOT = Path(__file__).parents[1]
FIRST_STEP = 77  # the exit code that only reaching it gives
FLOOR = "import torch, torchvision, pytorch_lightning"


class StopAtFirstStep(Callback):
    """Ends the process where the first batch is ready for the network."""

    def on_train_batch_start(self, *_: Any) -> None:
        os._exit(FIRST_STEP)


def python(*arguments: str, ends_with: int = 0) -> None:
    """SystemExit with what the child has said, unless it ends with this code."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != ends_with:
        raise SystemExit(done.stdout + done.stderr)


def measure(arguments: Namespace) -> Iterator[Row]:
    repeats = 2 if arguments.quick else arguments.repeats
    with tempfile.TemporaryDirectory() as scratch:
        places = [f"cache_dir={scratch}/cache", f"outputs={scratch}/outputs"]
        first_step = ["train.py", *places, "+callbacks.stop._target_=startup.StopAtFirstStep", "num_workers=0"]
        seconds = alternately(
            {
                "help": lambda: python("train.py", "--help"),
                "floor": lambda: python("-c", FLOOR),
                "imports": lambda: python("-c", f"{FLOOR}\nimport instseg.app.command, instseg.app.run"),
                "first step": lambda: python(*first_step, ends_with=FIRST_STEP),
            },
            repeats,
        )
    against = "import torch, torchvision, pytorch_lightning"
    yield compared("python train.py --help", against, seconds["help"], seconds["floor"], "s", "< 1 s")
    yield compared("imports of a training", against, seconds["imports"], seconds["floor"], "s", "mostly torch's own")
    yield compared("command to first training step", against, seconds["first step"], seconds["floor"], "s")
    own = [step - floor for step, floor in zip(seconds["first step"], seconds["floor"], strict=True)]
    yield figure("of which not these three imports", f"{sorted(own)[len(own) // 2]:.2f} s")


if __name__ == "__main__":
    main(__doc__, measure)
