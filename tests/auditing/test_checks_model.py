"""Whether the network can see what is labelled: sizes after the resize, anchors, number of detections."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from auditing.made import audited_for, labelled, one_car_each
from factories import SHARED, rectangle
from hydra.core.override_parser.overrides_parser import OverridesParser

from instseg.auditing.dataset import audit_dataset
from instseg.auditing.report import Severity
from instseg.data import sources
from instseg.data.formats.labelme.reader import LabelmeReader

SAME_SIZE = audited_for(min_size=60, max_size=80)
HALVED = audited_for(min_size=30, max_size=40)


def with_squares(*sides: float, count: int = 1):
    """Train images of one square each, of these sides, here and there."""
    all_sides = [side for side in sides for _ in range(count)]
    corners = np.random.default_rng(0).uniform(0, 30, (len(all_sides), 2))
    squares = [rectangle(x, y, x + side, y + side) for (x, y), side in zip(corners, all_sides, strict=True)]
    return {"train": labelled({f"{i}.png": [("car", square)] for i, square in enumerate(squares)})}


def value_of(command: str):
    return OverridesParser.create().parse_override(shlex.split(command)[0]).value()


def test_images_that_are_enlarged_far_get_sizes_that_show_as_much(found):
    assert found("too_large", with_squares(20, 30), options=audited_for(min_size=120, max_size=160)) is None
    finding = found("too_large", with_squares(20, 30), options=audited_for(min_size=600, max_size=800))
    assert finding.counts["train"] == 2 and finding.spots[0].detail == "10.0 times"
    assert finding.commands == ("augmentation.min_size=96 augmentation.max_size=128",)
    assert "about 39 times the time" in finding.advice


def test_small_objects_are_a_reason_to_enlarge(found):
    assert found("too_large", with_squares(3), options=audited_for(min_size=360, max_size=480)) is None
    finding = found("too_large", with_squares(4), options=audited_for(min_size=600, max_size=800))
    assert finding.commands == ("augmentation.min_size=224 augmentation.max_size=288",)


def test_what_is_small_after_the_resize_is_told_in_pixels_of_the_network(found):
    splits = with_squares(20, 30)
    assert found("too_small", splits, options=SAME_SIZE) is None
    finding = found("too_small", splits, options=HALVED)
    assert finding.names == ["0.png", "1.png"] and finding.spots[0].detail == "10 x 10 px"


def test_a_thin_instance_is_small_however_long_it_is(found):
    splits = {"train": labelled({"a.png": [("car", rectangle(5, 5, 75, 12))]})}
    assert found("too_small", splits, options=SAME_SIZE).spots[0].detail == "70 x 7 px"


def test_a_larger_resize_is_suggested_by_which_few_stay_small(found):
    splits = with_squares(12, count=20)
    finding = found("too_small", splits, options=SAME_SIZE)
    assert finding.severity == Severity.WARNING
    assert finding.commands == ("augmentation.min_size=96 augmentation.max_size=128",)
    options = audited_for(min_size=96, max_size=128)
    assert found("too_small", splits, options=options) is None, "the suggestion mends it"


def test_a_few_small_ones_among_many_are_no_reason_to_change_anything(found):
    splits = {"train": labelled({**one_car_each("train", 99), "a.png": [("car", rectangle(5, 5, 11, 11))]})}
    finding = found("too_small", splits, options=SAME_SIZE)
    assert finding.severity == Severity.INFO and finding.commands == ()


def test_anchors_that_fit_are_suggested_and_fit(found):
    splits = with_squares(18, 26, count=30)
    finding = found("anchors_miss", splits, options=SAME_SIZE)
    assert finding.title.endswith("(with this network at 60 to 80 px)")
    assert finding.severity == Severity.WARNING and "IoU" in finding.spots[0].detail
    sizes = value_of(finding.commands[0])
    better = found("anchors_miss", splits, options=audited_for(60, 80, anchors={"sizes": sizes}))
    assert better is None or better.counts.get("train", 0) < finding.counts["train"] / 4


def test_from_a_handful_of_instances_no_anchors_are_suggested(found):
    finding = found("anchors_miss", with_squares(18, 26, count=5), options=SAME_SIZE)
    assert finding.severity == Severity.INFO and finding.commands == ()


def test_images_with_more_instances_than_detections_get_a_number_that_is_enough(found):
    grid = [("car", rectangle(x, y, x + 5, y + 5)) for x in range(0, 80, 8) for y in range(0, 60, 8)]
    splits = {"train": labelled({"full.png": grid, "other.png": grid[:50]})}
    finding = found("too_many_instances", splits, options=audited_for(60, 80, box={"detections_per_image": 50}))
    assert finding.names == ["full.png"] and finding.spots[0].detail == "80 instances"
    assert finding.commands == ("model.box.detections_per_image=80",) and finding.advice.startswith("30 instances")
    assert found("too_many_instances", splits, options=audited_for(60, 80, box={"detections_per_image": 80})) is None


@pytest.mark.skipif(not (SHARED / "labelme_traffic_signs").is_dir(), reason="needs the shared images")
def test_tiny_traffic_signs_get_smaller_anchors(tmp_path):
    folder, cache = str(SHARED / "labelme_traffic_signs"), str(tmp_path)
    prepared = sources.folder(name="signs", reader=LabelmeReader, root=folder, cache_dir=cache)
    finding = next(f for f in audit_dataset(prepared, audited_for(), False).findings if f.kind == "anchors_miss")
    sizes = value_of(finding.commands[0])
    assert finding.severity == Severity.WARNING and 16 <= sizes[0] <= 28 and sizes[-1] < 200
