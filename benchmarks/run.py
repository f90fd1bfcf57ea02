"""All benchmarks, each in a process of its own, and one table of what they found.

    python benchmarks/run.py                          # about a quarter of an hour on two cores, nothing else running
    python benchmarks/run.py --device cuda            # what a GPU is for
    python benchmarks/run.py --only loader evaluation
    python benchmarks/run.py --full --results benchmarks/results/all.txt

A script that fails has a row with its reason, and the exit code is 1 at the end; the others are run all the same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from comparing import Row, figure, main, parser

HERE = Path(__file__).parent
ON_CPU = (
    *("training", "inference", "memory", "synchronisations", "scaling"),
    *("loader", "evaluation", "index", "readers", "polygons", "drawing", "startup", "growth"),
)
ON_GPU = ("training", "inference", "memory")
MAX_SECONDS = 600  # of a script


def measure(arguments: argparse.Namespace, failed: list[str]) -> Iterator[Row]:
    for name in arguments.only or (ON_CPU if arguments.device == "cpu" else ON_GPU):
        start = time.perf_counter()
        rows, reason = run(name, arguments)
        yield from rows
        if reason:
            failed.append(name)
            yield figure(f"{name}.py", "FAILED", agree=reason)
        print(f"---- {name}.py took {time.perf_counter() - start:.0f} s", flush=True)


def run(name: str, arguments: argparse.Namespace) -> tuple[list[Row], str]:
    """The rows of a script, and why it has failed, if it has."""
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "rows.json"
        command = [sys.executable, str(HERE / f"{name}.py"), "--rows", str(file), "--device", arguments.device]
        command += ["--repeats", str(arguments.repeats)]
        try:
            done = subprocess.run(
                command + ["--quick"] * (not arguments.full),
                capture_output=True,
                text=True,
                timeout=MAX_SECONDS,
                check=False,
            )
            reason = "" if done.returncode == 0 else last_line(done.stderr) or f"exit code {done.returncode}"
            if reason:
                print(done.stderr, file=sys.stderr)
        except subprocess.TimeoutExpired:
            reason = f"not done after {MAX_SECONDS} s"
        rows = json.loads(file.read_text()) if file.is_file() else []
    return [Row(**row) for row in rows], reason


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--only", nargs="+", choices=sorted({*ON_CPU, *ON_GPU}), help="these scripts alone")
    options.set_defaults(repeats=3)
    options.add_argument("--full", action="store_true", help="at the size of the results files: about half an hour")
    failures: list[str] = []
    main(__doc__, partial(measure, failed=failures), options)
    sys.exit(f"failed: {', '.join(failures)}" if failures else 0)
