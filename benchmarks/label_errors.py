"""Claim: of dropped and swapped labels, 0.8 are found at a precision of 0.5, among other errors of known kinds.

    python benchmarks/label_errors.py                             # generated shapes
    python benchmarks/label_errors.py --sets shapes nuclei car_damage --data ../shared/data

5 % of the labels get an error, each kind as many: dropped, added where nothing is, swapped for another category,
dilated and shifted (to an IoU of about 0.55), merged with a neighbour, split. The models of ``sweep=kfold`` learn from
these labels, errors included, and each judges the part that it has not seen. Nuclei have one category, so nothing is
swapped there. A suspicion is right where it is of the kind that finds the error, and its box overlaps that of the error
by an IoU of 0.4 or more. ``--out`` keeps trainings, so that a later call only judges and measures.
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

ROOT = Path(__file__).parents[1]
FRACTION, SEED = 0.05, 0
RECALLS = (0.2, 0.4, 0.6, 0.8)
GOAL = "0.80 or more"
COMMON = ("sweep=kfold", "dataset=coco", "dataset.group_by=null", "num_workers=0", "logger=none", "report=false",
          "trainer.enable_progress_bar=false")  # fmt: skip


@dataclass(frozen=True)
class Set:
    """A data set that errors are injected into, and how it is trained on."""

    parts: tuple[tuple[str, str], ...]
    """Annotation file and folder of images of each of its splits, which are joined."""
    overrides: tuple[str, ...]
    kinds: tuple[str, ...] = KINDS


SHAPES = ShapesSpec(num_images={"train": 1200}, seed=7)
ONE_CATEGORY = tuple(kind for kind in KINDS if kind != "swap")
SETS = {
    "shapes": Set(
        (("annotations/instances_train.json", "train"),),
        ("sweep.folds=2", "augmentation.min_size=128", "augmentation.max_size=160", "batch_size=4",
         "trainer.max_epochs=5", "trainer.check_val_every_n_epoch=5"),
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
            table = judge(name, out / name, [*arguments.overrides], arguments.quick)
            yield from rows_of(name, table, injected)


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


def judge(name: str, out: Path, overrides: Sequence[str], is_quick: bool) -> Path:
    """Train the folds unless they are there, and judge; return the table of suspicions."""
    places = (f"outputs={out / 'outputs'}", f"cache_dir={out / 'cache'}")
    few = ("trainer.max_epochs=1", "dataset.max_images.train=40", "dataset.max_images.val=40") if is_quick else ()
    sweeps = [*out.glob("outputs/sweeps/*")]
    if not sweeps:
        run("train", *COMMON, f"dataset.root={out / 'data'}", *SETS[name].overrides, *few, *overrides, *places)
        sweeps = [*out.glob("outputs/sweeps/*")]
    folder = run("label-errors", f"checkpoint={sweeps[-1]}", "trainer.enable_progress_bar=false", *places)
    return Path(folder) / "label_errors.csv"


def run(*arguments: str) -> str:
    """Run a verb; return the last line that it prints."""
    done = subprocess.run([sys.executable, "-m", "instseg", *arguments], cwd=ROOT, capture_output=True, text=True,
                          check=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})  # fmt: skip
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
    options.add_argument("--overrides", nargs="*", default=[], help="further settings of the trainings")
    main(__doc__, measure, options)
