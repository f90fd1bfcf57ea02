"""What is exported is read again by the program's own readers: the same instances on the same photos."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_factories import CATEGORIES, all_writers, export_run, predicted
from factories import make_picture, polygon, star, write_picture
from labelme_files import SIZE as LABELME_SIZE
from labelme_files import shape as labelme_shape
from labelme_files import write_labels
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from typed_commands import train

from instseg.core.errors import InstsegError
from instseg.core.masks import bitmask_to_rle, polygons_to_rle, rle_to_bitmask, segmentation_to_rle
from instseg.core.types import Prediction
from instseg.data.formats.auto import recognise_format
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.formats.cvat.reader import CvatReader
from instseg.data.formats.labelme.reader import LabelmeReader
from instseg.data.formats.labelstudio.reader import LabelStudioReader
from instseg.data.formats.mask_folder.reader import MaskFolderReader
from instseg.data.formats.yolo.reader import YoloReader
from instseg.data.reading.coco_text import whole
from instseg.data.reading.findings import Findings
from instseg.data.reading.images import read_image
from instseg.data.reading.labels import Labels
from instseg.data.sources import folder
from instseg.prediction.writers.predicted_image import LoadedImage, PredictedImage, unique_stems
from instseg.prediction.writers.threads import WriterThreads

MIN_IOU = 0.97
SIZE = (120, 160)


def shape(*polygons: NDArray[np.float64]) -> NDArray[np.uint8]:
    return rle_to_bitmask(polygons_to_rle(polygons, SIZE))


DISC = shape(star(40, 40, 25, 20))
RING = shape(star(110, 50, 40, 12)) & (1 - shape(star(110, 50, 15, 12)))
PARTS = shape(polygon((10, 70), (50, 75), (30, 115)), polygon((70, 100), (100, 95), (98, 118), (72, 117)))
CUT = shape(star(160, 120, 30))  # by the border
PIXEL = np.zeros(SIZE, np.uint8)
PIXEL[60, 60] = 1
PREDICTIONS = {
    "a.jpg": predicted(DISC, RING, PARTS, image_id=1),
    "a.png": predicted(CUT, PIXEL, image_id=2),
    "more/deeper/c d.png": predicted(RING, CUT, labels=[3, 3], image_id=3),
    "empty.png": predicted(size=SIZE, image_id=4),
}


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The output of a run over PREDICTIONS in all formats; the first photo is stored turned by a quarter."""
    run = export_run(tmp_path)
    for seed, (file, prediction) in enumerate(PREDICTIONS.items()):
        stored, orientation = (SIZE[::-1], 6) if file == "a.jpg" else (SIZE, 1)
        write_picture(run.image_folder / file, stored, seed, orientation)
        assert read_image(run.image_folder / file).shape[:2] == prediction.image_size
    stems = unique_stems(list(PREDICTIONS))
    with WriterThreads(run, list(all_writers().values())) as threads:
        for (file, prediction), stem in zip(PREDICTIONS.items(), stems, strict=True):
            threads.add(LoadedImage(PredictedImage(file, stem, prediction), make_picture(SIZE)))
    threads.finish()
    return run.output


def accepted(output: Path) -> Path:
    """What Label Studio exports after a person has accepted every prediction, and submitted the empty task."""
    tasks = json.loads((output / "labelstudio/tasks.json").read_text())
    for number, task in enumerate(tasks, start=1):
        result = [region for prediction in task["predictions"] for region in prediction["result"]]
        task |= {"id": number, "annotations": [{"id": number, "was_cancelled": False, "result": result}]}
    path = output / "accepted/project-1.json"
    path.parent.mkdir()
    path.write_text(json.dumps(tasks))
    return path


def with_photos_beside(folder: Path) -> Path:
    """As a task of CVAT is exported: its images beside the labels."""
    (folder / "images").symlink_to(folder.parent.parent / "my photos")
    return folder


def read(reader: Any, findings: dict[str, Findings]) -> dict[str, list[tuple[str, NDArray[np.uint8]]]]:
    """Photo, by its pixels' place on the disk -> its instances as category and mask."""
    labels: dict[str, Labels] = reader.read(findings)
    found: dict[str, list[tuple[str, NDArray[np.uint8]]]] = {}
    for part in labels.values():
        names = {category["id"]: category["name"] for category in part.coco["categories"]}
        files = {i["id"]: os.path.realpath(part.image_root / i["file_name"]) for i in part.coco["images"]}
        found |= {file: [] for file in files.values()}
        for annotation in part.coco["annotations"]:
            mask = rle_to_bitmask(segmentation_to_rle(whole(annotation)["segmentation"], SIZE))
            found[files[annotation["image_id"]]].append((names[annotation["category_id"]], mask))
    return found


def iou(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> float:
    return float(coco_mask.iou([bitmask_to_rle(left)], [bitmask_to_rle(right)], [0])[0, 0])


def check_same(found: list[tuple[str, NDArray[np.uint8]]], prediction: Prediction) -> None:
    expected = [
        (CATEGORIES.name(int(label)), rle_to_bitmask(rle))
        for label, rle in zip(prediction.labels, prediction.rles, strict=True)
    ]
    assert len(found) == len(expected)
    for name, mask in expected:
        assert any(name == other and iou(mask, drawn) > MIN_IOU for other, drawn in found), name


READERS: dict[str, Callable[[Path], Any]] = {
    "coco": lambda output: CocoReader(output / "predictions.json"),
    "labelme": lambda output: LabelmeReader(output / "labelme"),
    "labelstudio": lambda output: LabelStudioReader(accepted(output), images=str(output.parent / "my photos")),
    "masks": lambda output: MaskFolderReader(output / "masks"),
    "cvat": lambda output: CvatReader(with_photos_beside(output / "cvat")),
    "yolo": lambda output: YoloReader(output / "yolo"),
}


@pytest.mark.parametrize("name", READERS)
def test_every_format_gives_back_photos_categories_and_masks(exported, name):
    findings: dict[str, Findings] = defaultdict(Findings)
    found = read(READERS[name](exported), findings)
    photos = {file: str((exported.parent / "my photos" / file).resolve()) for file in PREDICTIONS}
    assert found.keys() == set(photos.values())
    for file, prediction in PREDICTIONS.items():
        check_same(found[photos[file]], prediction)
    kinds = {kind for found in findings.values() for kind in found.names}
    assert kinds <= {"split_repeated"}  # yolo's val is its train, because there is no split


@pytest.mark.parametrize("name", ["coco", "labelme", "masks", "yolo"])
def test_the_format_of_what_was_written_is_recognised(exported, name):
    place = {"coco": "predictions.json"}.get(name, name)
    assert recognise_format(exported / place)[0] == {"masks": "mask_folder"}.get(name, name)


def test_predictions_whose_photos_are_gone_are_not_read_on_their_masks(exported):
    photos = (exported.parent / "my photos").rename(exported.parent / "moved")
    with pytest.raises(InstsegError, match=r"predictions.json: its images should be in .*my photos.*no such folder"):
        CocoReader(exported / "predictions.json").read(defaultdict(Findings))
    moved = (exported / "predictions.json").rename(photos / "predictions.json")
    assert CocoReader(moved).read(defaultdict(Findings))["all"].image_root == photos


def test_a_turned_photo_is_read_upright_all_the_way_to_the_index(exported, tmp_path):
    wanted = PREDICTIONS["a.jpg"]
    for name, reader, place in (("labelme", LabelmeReader, "labelme"), ("coco", CocoReader, "predictions.json")):
        places = {"root": str(exported / place), "cache_dir": str(tmp_path / "cache")}
        prepared = folder(name=name, reader=reader, **places, group_by=None, predictions="any", outside="always")
        indices = [(index, i) for index in prepared.indices.values() for i in range(len(index))]
        index, i = next((index, i) for index, i in indices if index.file_name(i).endswith("a.jpg"))
        assert index.image_size(i) == SIZE
        names = [index.categories.name(int(label)) for label in index.ground_truth(i).labels]
        masks = [rle_to_bitmask(rle) for rle in index.ground_truth(i).rles]
        check_same(list(zip(names, masks, strict=True)), wanted)


@pytest.mark.slow
def test_what_was_predicted_is_corrected_and_trained_on_with_the_earlier_labels(exported, tmp_path):
    """photos -> labelme json -> a person deletes a wrong shape -> ``dataset.corrected`` -> a training."""
    for seed in range(3):
        write_labels(tmp_path / "earlier", f"old_{seed}", labelme_shape("car"), photo=None)
        write_picture(tmp_path / f"earlier/old_{seed}.png", LABELME_SIZE, 20 + seed)
    path = exported / "labelme/a.json"
    content = json.loads(path.read_text())
    content["shapes"] = [shape for shape in content["shapes"] if shape["label"] != "cake"]
    path.write_text(json.dumps(content))
    done = train(
        *("dataset=labelme", f"dataset.root={tmp_path / 'earlier'}", "debug=fast"),
        f"dataset.corrected={exported / 'labelme'}",
        *("model=small", "trainer=cpu", "batch_size=1", f"outputs={tmp_path}/runs", f"cache_dir={tmp_path}/cache"),
        *("dataset.split_ratio={train: 0.5, val: 0.5, test: 0}", "augmentation.min_size=64"),
        "augmentation.max_size=128",
    )
    warning = "images are labelled by predictions that nobody has changed; in train only: 3 ("
    assert warning in " ".join(done.output.split())
    (run,) = (tmp_path / "runs").glob("*/*/metrics.json")
    assert (run.parent / "checkpoints/last.ckpt").is_file()
    divided = json.loads((run.parent / "splits.json").read_text())
    assert {Path(name).name for name in divided["train"]} >= {Path(name).name for name in PREDICTIONS}
    assert {Path(name).stem.partition("_")[0] for name in divided["val"]} == {"old"}
