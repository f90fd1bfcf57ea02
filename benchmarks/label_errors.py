"""Claim: of dropped and swapped labels, 0.8 are found at a precision of 0.5, among other errors of known kinds.

    python benchmarks/label_errors.py                             # generated shapes
    python benchmarks/label_errors.py --sets shapes nuclei car_damage --data ../shared/data

5 % of the labels get an error, each kind as many: dropped, added where nothing is, swapped for another category,
dilated and shifted (to an IoU of about 0.55), merged with a neighbour, split. The models of ``sweep=kfold`` learn from
these labels, errors included, and each judges the part that it has not seen. Nuclei have one category, so nothing is
swapped there. A suspicion is right where it is of the kind that finds the error, and its box overlaps that of the error
by an IoU of 0.4 or more. ``--out`` keeps trainings: a later call resumes what was interrupted, and ``--judge-only`` has
the folds judge that are trained so far.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from injecting import KINDS, Injected, Injector
from ranking import curves, read_suspicions

from comparing import Row, figure, main, parser
from instseg.core.files import read_json
from instseg.core.types import CocoAnnotation, CocoDict, CocoImage
from instseg.data.builtin.shapes import ShapesSpec, write_shapes
from instseg.data.splits.splits_file import read_splits_file
from instseg.sweeps.folds import fold_runs

ROOT = Path(__file__).parents[1]
FRACTION, SEED = 0.05, 0
RECALLS = (0.2, 0.4, 0.6, 0.8)
GOAL = "0.80 or more"
COMMON = ("sweep=kfold", "dataset=coco", "dataset.group_by=null", "num_workers=0", "logger=none", "report=false")


@dataclass(frozen=True)
class Set:
    """A data set that errors are injected into, and how it is trained on."""

    parts: tuple[tuple[str, str], ...]
    """Annotation file and folder of images of each of its splits, which are joined."""
    overrides: tuple[str, ...]
    kinds: tuple[str, ...] = KINDS


SHAPES = ShapesSpec(num_images={"train": 1500}, seed=7)
ONE_CATEGORY = tuple(kind for kind in KINDS if kind != "swap")
SETS = {
    "shapes": Set(
        (("annotations/instances_train.json", "train"),),
        ("sweep.folds=2", "augmentation.min_size=128", "augmentation.max_size=160", "batch_size=4",
         "trainer.max_epochs=10", "trainer.check_val_every_n_epoch=10", "model.box.batch_size_per_image=32"),
    ),
    "nuclei": Set(
        tuple((f"annotations/instances_{split}.json", split) for split in ("train", "val")),
        ("sweep.folds=2", "augmentation=strong", "augmentation.min_size=256", "augmentation.max_size=320",
         "trainer.max_epochs=8", "trainer.check_val_every_n_epoch=8", "model.box.detections_per_image=100"),
        ONE_CATEGORY,
    ),
    "car_damage": Set(
        tuple((f"{split}/_annotations.coco.json", split) for split in ("train", "valid", "test")),
        ("sweep.folds=2", "augmentation.min_size=256", "augmentation.max_size=320", "batch_size=4",
         "trainer.max_epochs=10", "trainer.check_val_every_n_epoch=5"),
    ),
}  # fmt: skip
FOLDERS = {"nuclei": "nuclei_coco", "car_damage": "car_damage"}


def measure(arguments: argparse.Namespace) -> Iterator[Row]:
    with TemporaryDirectory() as scratch:
        out = Path(arguments.out or scratch).absolute()
        for name in arguments.sets:
            injected = make_noisy(name, out / name / "data", arguments.data)
            if not arguments.judge_only:
                train(name, out / name, [*arguments.overrides], arguments.quick)
            sweep = sweep_of(out / name)
            judged = judged_images(sweep)
            table = Path(run("label-errors", f"checkpoint={sweep}", *places(out / name))) / "label_errors.csv"
            yield from rows_of(name, table, [pair for pair in injected if pair[0] in judged])


def make_noisy(name: str, folder: Path, data: Path) -> list[tuple[str, Injected]]:
    """Write the set with errors, all of its splits as one; return them with the names of their images."""
    if name == "shapes":
        clean = folder.with_name("clean")
        if not clean.exists():
            write_shapes(clean, SHAPES)
    else:
        clean = data / FOLDERS[name]
    coco = joined(clean, SETS[name].parts, folder / "images")
    injector = Injector(coco, np.random.default_rng(SEED))
    injector.inject(SETS[name].kinds, FRACTION)
    (folder / "labels.json").write_text(json.dumps(coco))
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    return [(names[one.image_id], one) for one in injector.injected]


def joined(clean: Path, parts: Sequence[tuple[str, str]], images: Path) -> CocoDict:
    """Labels of all splits under ids of their own, and links to their images."""
    images.mkdir(parents=True, exist_ok=True)
    made: CocoDict = {"images": [], "annotations": [], "categories": []}
    for labels, folder in parts:
        coco: CocoDict = read_json(clean / labels)
        made["categories"], numbers = coco["categories"], dict[int, int]()
        for image in coco["images"]:
            numbers[image["id"]], name = len(made["images"]) + 1, f"{folder}_{image['file_name']}"
            made["images"].append(CocoImage(id=numbers[image["id"]], file_name=name, height=image["height"],
                                            width=image["width"]))  # fmt: skip
            if not (images / name).exists():
                os.link(clean / folder / image["file_name"], images / name)
        for one in coco["annotations"]:
            made["annotations"].append(_numbered(one, len(made["annotations"]) + 1, numbers[one["image_id"]]))
    return made


def _numbered(one: CocoAnnotation, number: int, image_id: int) -> CocoAnnotation:
    copied = one.copy()
    copied["id"], copied["image_id"] = number, image_id
    return copied


def train(name: str, out: Path, overrides: Sequence[str], is_quick: bool) -> None:
    """Train the folds; a sweep that was interrupted resumes."""
    shorter = ("trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1")
    few = (*shorter, "dataset.max_images.train=40", "dataset.max_images.val=40") if is_quick else ()
    begun = sweep_of(out)
    settings = (*COMMON, f"dataset.root={out / 'data'}", *SETS[name].overrides, *few, *overrides)
    run("train", *([f"resume={begun}"] if begun else settings), *places(out))


def sweep_of(out: Path) -> Path | None:
    return max(out.glob("outputs/sweeps/*"), default=None)


def places(out: Path) -> tuple[str, ...]:
    return f"outputs={out / 'outputs'}", f"cache_dir={out / 'cache'}", "trainer.enable_progress_bar=false"


def judged_images(sweep: Path | None) -> set[str]:
    """Names of the images that a model of the sweep has not seen."""
    if sweep is None:
        raise SystemExit("nothing is trained yet: leave out --judge-only")
    files = [read_splits_file(fold.run / "splits.json") for fold in fold_runs(sweep).runs]
    return {name for file in files for name in file.val or []}


def run(*arguments: str) -> str:
    """Run a verb; return the last line that it prints. SystemExit with what it says where it fails."""
    command = [sys.executable, "-m", "instseg", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"instseg {arguments[0]} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout.strip().splitlines()[-1]


def rows_of(name: str, table: Path, injected: Sequence[tuple[str, Injected]]) -> Iterator[Row]:
    """A row for each kind: recall at a precision of 0.5, and the curve."""
    for kind, (curve, count) in curves(read_suspicions(table), injected).items():
        points = ", ".join(f"{curve.precision_at(recall):.2f}" for recall in RECALLS)
        goal = GOAL if kind in ("drop", "swap") and name != "car_damage" else ""
        what = f"{name}, {kind} ({count}): recall at a precision of 0.5"
        yield figure(what, f"{curve.recall_at(0.5):.2f}", goal, against=f"precision at recall {POINTS}: {points}")


POINTS = "/".join(f"{recall:g}" for recall in RECALLS)

if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", choices=[*SETS], default=["shapes"])
    options.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the other sets")
    options.add_argument("--out", help="folder that keeps data, trainings and tables")
    options.add_argument("--judge-only", action="store_true", help="with --out: by the folds that are trained so far")
    options.add_argument("--overrides", nargs="*", default=[], help="further settings of the trainings")
    main(__doc__, measure, options)
