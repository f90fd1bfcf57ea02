"""One annotation as tools write it: read where it has one meaning, compared with its bbox and area, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from factories import coco_annotation, rectangle, uncompressed
from hypothesis import given
from hypothesis import strategies as st

from instseg.core.errors import InstsegError
from instseg.core.masks import bitmask_to_rle, polygon_area, rle_area, rle_to_bitmask
from instseg.data.index.agreement import READINGS
from instseg.data.index.shapes import FractionsError, ReadShape, read_shape
from instseg.data.reading.crowds import with_crowd_flags
from instseg.data.reading.findings import Findings
from instseg.data.reading.label_rules import CHOICES, LabelRules

SIZE = (24, 40)
CAR = rectangle(4, 6, 20, 14)
FLAT = CAR.reshape(-1).tolist()
XYWH = [4, 6, 16, 8]


def mask_of(x1: int = 4, y1: int = 6, x2: int = 20, y2: int = 14) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


def read(segmentation: Any, bbox: Any = XYWH, rules: LabelRules | None = None, **more: Any) -> ReadShape:
    shape = read_shape(coco_annotation(1, 1, 1, segmentation, bbox=bbox, **more), SIZE, rules or LabelRules())
    assert shape is not None
    return shape


def area_of(shape: ReadShape) -> float:
    return sum(map(polygon_area, shape.parts)) if isinstance(shape.parts, list) else rle_area(shape.parts)


def kinds(shape: ReadShape) -> list[str]:
    return [kind for kind, _ in shape.remarks]


# ---- forms


@pytest.mark.parametrize(
    "segmentation",
    [
        FLAT,
        CAR.tolist(),
        [CAR.tolist()],
        [dict(zip("xy", point, strict=True)) for point in CAR.tolist()],
        [[dict(zip("xy", point, strict=True)) for point in CAR.tolist()]],
        str([FLAT]),
    ],
    ids=["flat", "points", "points in a list", "x and y", "x and y in a list", "text"],
)
def test_a_polygon_in_any_list_of_its_numbers_is_the_same_polygon(segmentation):
    shape = read(segmentation)
    assert isinstance(shape.parts, list) and shape.parts[0].tolist() == CAR.tolist()
    assert shape.box == (4, 6, 20, 14)


def test_coco_s_own_form_is_nothing_unusual_and_the_others_are_noted():
    assert kinds(read([FLAT])) == [] and kinds(read(FLAT)) == ["shape_unusual"]


@pytest.mark.parametrize(
    "counts",
    [
        lambda rle, runs: str(rle["counts"]),
        lambda rle, runs: str(runs),
        lambda rle, runs: " ".join(map(str, runs)),
        lambda rle, runs: [float(run) for run in runs],
        lambda rle, runs: [str(run) for run in runs],
    ],
    ids=["bytes as text", "a list as text", "numbers with blanks", "floats", "texts"],
)
def test_rle_counts_that_were_printed_are_read_as_what_they_print(counts):
    mask = mask_of()
    shape = read({"size": list(SIZE), "counts": counts(bitmask_to_rle(mask), uncompressed(mask)["counts"])})
    assert not isinstance(shape.parts, list) and (rle_to_bitmask(shape.parts) == mask).all()
    assert kinds(shape) == ["shape_unusual"]


@pytest.mark.parametrize("by_rows", [False, True])
def test_a_bbox_decides_what_an_rle_of_swapped_size_means(by_rows):
    runs = uncompressed(mask_of().T if by_rows else mask_of())["counts"]
    shape = read({"size": [40, 24], "counts": runs})
    assert not isinstance(shape.parts, list) and (rle_to_bitmask(shape.parts) == mask_of()).all()


def test_an_rle_of_swapped_size_without_a_bbox_is_refused_with_the_option():
    with pytest.raises(InstsegError, match=r"no bbox tells .* \(dataset\.rle=rows\)"):
        read({"size": [40, 24], "counts": uncompressed(mask_of())["counts"]}, bbox=None)


@given(st.integers(0, 2**64), st.booleans())
def test_every_mask_counted_by_rows_comes_back_by_the_option(bits, has_its_size):
    mask = np.array([bits >> n & 1 for n in range(60)] + [1], np.uint8)[:60].reshape(6, 10)
    runs = uncompressed(mask.T)["counts"]
    rle = {"size": [6, 10] if has_its_size else [10, 6], "counts": runs}
    shape = read_shape(coco_annotation(1, 1, 1, rle), (6, 10), LabelRules(rle="rows"))
    assert (shape is None) == (not mask.any())
    assert shape is None or (not isinstance(shape.parts, list) and (rle_to_bitmask(shape.parts) == mask).all())


# ---- bbox, area and mask


@pytest.mark.parametrize("reading", [reading for reading in READINGS if reading != "xywh"])
def test_a_bbox_in_another_order_is_told_with_the_option_that_reads_it(reading):
    x1, y1, x2, y2 = 4, 6, 20, 14
    written = {
        "xyxy": [x1, y1, x2, y2],
        "yxyx": [y1, x1, y2, x2],
        "yxhw": [y1, x1, y2 - y1, x2 - x1],
        "cxcywh": [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1],
    }[reading]
    wrong = read([FLAT], written)
    assert kinds(wrong) == ["mask_transposed" if reading == "yxhw" else "bbox_misread"]  # either may be swapped
    assert wrong.remarks[0][1].endswith(f"dataset.bbox={reading}")
    right = read([FLAT], written, LabelRules(bbox=reading))
    assert right.remarks == [] and right.box == wrong.box == (4, 6, 20, 14)


def test_a_bbox_that_fits_in_no_reading_gives_way_to_that_of_the_mask():
    shape = read([FLAT], [30, 1, 3, 3])
    assert kinds(shape) == ["bbox_differs"] and shape.box == (4, 6, 20, 14)


@pytest.mark.parametrize("bbox", [[0, 0, 0, 0], None, [], ["a", 1, 2, 3], [1, 2, 3], "4 6 16 8"])
def test_a_bbox_that_is_none_is_no_disagreement(bbox):
    assert kinds(read([FLAT], bbox)) == []


@pytest.mark.parametrize("bbox", [[3, 5, 17, 9], [4.6, 6.4, 15, 7.5], ["4", "6", "16", "8"]])
def test_a_bbox_that_is_drawn_loosely_or_rounded_agrees(bbox):
    assert kinds(read([FLAT], bbox)) == []


def test_masks_with_x_and_y_swapped_are_told_with_the_option_that_turns_them():
    by_rows = {"size": list(SIZE), "counts": uncompressed(mask_of().T)["counts"]}
    for segmentation, option in ((by_rows, "rle=rows"), ([CAR[:, ::-1].reshape(-1).tolist()], "polygons=yx")):
        ((kind, detail),) = read(segmentation).remarks
        assert kind == "mask_transposed" and detail.startswith(f"they agree with dataset.{option}")
        key, value = option.split("=")
        right = read(segmentation, rules=LabelRules(**{key: value}))
        assert right.remarks == [] and right.box == (4, 6, 20, 14) and area_of(right) == 128


def test_lone_boxes_that_reach_out_and_would_not_as_corners_are_told():
    shape = read([], [22, 12, 38, 22])
    assert shape.remarks == [("box_only", ""), ("box_outside", "inside with dataset.bbox=xyxy")]
    assert kinds(read([], [2, 2, 10, 10])) == ["box_only"]


def test_an_area_that_is_not_the_mask_s_is_told_and_that_of_the_box_by_its_name():
    triangle = [[4, 6, 20, 6, 4, 14]]
    assert kinds(read(triangle, area=64.0)) == [] and kinds(read(triangle, area=128)) == ["area_of_box"]
    assert read(triangle, area=640.0).remarks == [("area_differs", "640 px instead of 64")]


# ---- fractions and holes


@pytest.mark.parametrize("segmentation", [[[0.1, 0.25, 0.5, 0.25, 0.5, 0.75]], []])
def test_coordinates_that_look_like_fractions_are_left_out_unless_the_option_says_so(segmentation):
    bbox = [0.1, 0.25, 0.4, 0.5]
    with pytest.raises(FractionsError, match=r"dataset\.coordinates=fractions"):
        read(segmentation, bbox)
    shape = read(segmentation, bbox, LabelRules(coordinates="fractions"))
    assert shape.box == pytest.approx((4, 6, 20, 18)) and "bbox_differs" not in kinds(shape)


def test_an_instance_of_one_whole_pixel_in_the_corner_is_no_fraction():
    assert area_of(read([[0, 0, 1, 0, 1, 1, 0, 1]], None)) == 1


HOLE = rectangle(8, 8, 12, 12).reshape(-1).tolist()


@pytest.mark.parametrize("turned", [1, -1])
def test_a_ring_in_a_ring_is_filled_and_told_or_cut_by_the_option(turned):
    hole = np.array(HOLE).reshape(-1, 2)[::turned].reshape(-1).tolist()
    filled = read([FLAT, hole], area=112)
    assert filled.remarks == [("hole_filled", "16 of 128 px, which dataset.holes=cut takes out")]
    cut = read([FLAT, hole], rules=LabelRules(holes="cut"), area=112)
    assert cut.remarks == [] and area_of(cut) == 112


def test_parts_side_by_side_are_no_holes_and_an_island_in_a_hole_stays():
    assert kinds(read([FLAT, rectangle(24, 6, 30, 14).reshape(-1).tolist()], None)) == []
    island = rectangle(9, 9, 11, 11).reshape(-1).tolist()
    assert area_of(read([FLAT, HOLE, island], rules=LabelRules(holes="cut"))) == 128 - 16 + 4


# ---- crowds and rules


@pytest.mark.parametrize(
    ("given", "expected", "is_odd"),
    [
        *((0, 0, False), (1, 1, False), (False, 0, False), (True, 1, False), ("0", 0, False), ("1", 1, False)),
        *((None, 0, False), (1.0, 1, False), ("true", 1, False), (2, 0, True), ("maybe", 0, True), ([1], 0, True)),
    ],
)
def test_a_crowd_flag_is_read_in_any_spelling_of_0_and_1_and_anything_else_is_named(given, expected, is_odd):
    findings = Findings()
    coco = {"annotations": [coco_annotation(1, 1, 1, [FLAT], iscrowd=given)]}
    (read_flag,) = with_crowd_flags(coco, LabelRules(), findings)["annotations"]
    assert type(read_flag["iscrowd"]) is int and read_flag["iscrowd"] == expected
    assert ("crowd_invalid" in findings.names) == is_odd
    (kept,) = with_crowd_flags(coco, LabelRules(crowd="keep"), Findings())["annotations"]
    assert kept["iscrowd"] == 0


@pytest.mark.parametrize("option", CHOICES)
def test_a_rule_of_another_value_is_refused_with_its_name(option):
    for value in ("x", None, 1, ["keep"]):
        with pytest.raises(InstsegError, match=rf"dataset\.{option}: expected one of"):
            LabelRules(**{option: value})
