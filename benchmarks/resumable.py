"""Trainings of a benchmark, each a line of json in a file: one that is there is not run again."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from comparing import hardware

Line = TypeVar("Line")


def read_lines(file: Path, kind: Callable[..., Line]) -> list[Line]:
    """What the file holds, nothing where there is none."""
    lines = file.read_text().splitlines() if file.is_file() else []
    return [kind(**json.loads(line)) for line in lines if not line.startswith("#")]


def add_line(file: Path, one: Any) -> None:
    """Add a line; a new file says first on which machine it was begun."""
    if not file.is_file():
        file.write_text("".join(f"# {line}\n" for line in hardware("cpu")))
    with file.open("a") as opened:
        opened.write(json.dumps(dataclasses.asdict(one)) + "\n")


def commands(description: str | None, cache: str) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """The parser of ``run`` and ``table``, and that of ``run``, to which a benchmark adds what it varies."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    both = parser.add_subparsers(dest="command", required=True)
    both.add_parser("table", help="print the tables of a file").add_argument("file", type=Path)
    runs = both.add_parser("run", help="train what a file does not hold yet")
    runs.add_argument("--data", type=Path, required=True, help="the folder of the sets")
    runs.add_argument("--weights", default="imagenet", help="of MobileNetV2: imagenet, or a file")
    runs.add_argument("--out", type=Path, required=True, help="a line of json is added for each training")
    runs.add_argument("--cache", type=Path, default=Path("data"), help=cache)
    runs.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    runs.add_argument("--overrides", nargs="*", default=[], help="further settings, such as augmentation=strong")
    return parser, runs
