"""A monitored metric that can have no value is refused before the training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from factories import coco_annotation, coco_dict, coco_image, rectangle, tiny_categories, write_picture

from instseg.app.check_measurable import check_measurable
from instseg.app.config import RunConfig
from instseg.core.errors import InstsegError
from instseg.data.index.build import write_index
from instseg.data.index.columns import Index
from instseg.data.index.layout import LabelSource
from instseg.data.reading.findings import Findings
from instseg.data.reading.frames import decide_frames, read_headers
from instseg.data.reading.label_rules import LabelRules

SIZE = (40, 60)
SMALL, MEDIUM = rectangle(2, 2, 12, 12), rectangle(10, 2, 50, 38)
BOX = {"bbox": [2, 2, 30, 20]}


def val(folder: Path, *drawn: tuple[str, object]) -> Index:
    """One image with these instances; a pair without polygon has a box alone."""
    image = write_picture(folder / "a.png", SIZE).name
    annotations = [
        coco_annotation(number, 7, category, [], **BOX) if part is None else coco_annotation(number, 7, category, part)
        for number, (category, part) in enumerate(drawn, 1)
    ]
    coco = coco_dict([coco_image(7, image, SIZE)], annotations)
    headers = read_headers(coco["images"], folder)
    write_index(
        coco, headers, folder, tiny_categories(), folder / "index", decide_frames(headers), Findings(),
        LabelRules(box_only="boxes"),
    )  # fmt: skip
    return Index(folder / "index")


def check(index: Index, metric: str, callback: str | None = None) -> None:
    callbacks = {"mine": {"monitor": callback, "mode": "max"}} if callback else {}
    monitor = SimpleNamespace(metric=metric, mode="max")
    config = SimpleNamespace(monitor=monitor, callbacks={"removed": None, **callbacks})
    check_measurable(cast("RunConfig", config), index, index.categories)


FINE = ["val/segm_map", "val/segm_map/car", "val/bbox_map/dog", "val/segm_map_medium", "val/loss", "val/mine"]


@pytest.mark.parametrize("metric", FINE)
def test_a_metric_of_what_is_there_is_fine(tmp_path, metric):
    check(val(tmp_path, ("car", MEDIUM), ("dog", SMALL)), metric)


DRAWN = {
    "cars": [("car", MEDIUM)],
    "boxes": [("car", None), ("dog", None)],
    "a car and boxes of dogs": [("car", MEDIUM), ("dog", None)],
    "nothing": [],
}


@pytest.mark.parametrize(
    ("drawn", "metric", "message"),
    [
        ("cars", "val/segm_map/dog", "instance of dog, so that it would be undefined and no weights the best; split"),
        ("cars", "val/bbox_map/dgo", "there is no category dgo. Did you mean dog?"),
        ("cars", "val/segm_map_large", "instance of 96² px² or more, so that .* or use monitor.metric=val/segm_map$"),
        ("cars", "val/bbox_mar_small", "no validation image has an instance of up to 32² px²"),
        ("boxes", "val/segm_map", "instance with a mask, so that .* or use monitor.metric=val/bbox_map$"),
        ("boxes", "val/mean_mask_iou", "no validation image has an instance with a mask"),
        ("a car and boxes of dogs", "val/segm_map/dog", "instance of dog with a mask, so that .*=val/segm_map$"),
        ("nothing", "val/segm_map", "has an instance, so that .* monitor.metric=val/loss monitor.mode=min$"),
        ("nothing", "val/bbox_mar_10", "no validation image has an instance"),
    ],
)
def test_a_metric_of_what_is_not_there_is_refused(tmp_path, drawn, metric, message):
    with pytest.raises(InstsegError, match=message):
        check(val(tmp_path, *DRAWN[drawn]), metric)


def test_a_category_that_no_image_has_labelled_completely_is_not_measured(tmp_path):
    index = val(tmp_path, ("car", MEDIUM), ("dog", SMALL))
    index.sources = (LabelSource(name="cars", unlabelled=(2,)),)
    check(index, "val/segm_map/car")
    with pytest.raises(InstsegError, match="instance of dog"):
        check(index, "val/segm_map/dog")


def test_what_a_callback_monitors_is_checked_as_well(tmp_path):
    with pytest.raises(InstsegError, match=r"^callbacks\.mine\.monitor=val/segm_map_large: .*monitor=val/segm_map$"):
        check(val(tmp_path, *DRAWN["cars"]), "val/segm_map", "val/segm_map_large")


def test_a_loss_needs_no_instances(tmp_path):
    check(val(tmp_path), "val/loss")
