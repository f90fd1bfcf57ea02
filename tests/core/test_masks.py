"""The forms of a mask and the ways between them, first on masks drawn by hand, then on any geometry."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from factories import drawn, polygon, rectangle, star, uncompressed
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torchvision.models.detection.roi_heads import paste_masks_in_image

from instseg.core.box_masks import (
    bitmask_to_box_mask,
    crop_to_rle,
    mask_probs_to_rle,
    polygons_to_box_mask,
    polygons_to_box_masks,
)
from instseg.core.errors import InstsegError
from instseg.core.masks import (
    bitmask_to_rle,
    clip_polygon,
    polygon_area,
    polygons_to_box,
    polygons_to_rle,
    rle_area,
    rle_runs,
    rle_to_bitmask,
    rle_to_box,
    rle_to_crop,
    rles_runs,
    segmentation_to_rle,
)
from instseg.core.types import Polygon

EMPTY = drawn("....", "....")
ONE_PIXEL = drawn("....", "..#.")
HOLE = drawn("####", "#..#", "####")
LEFT_BORDER = drawn("##..", "##..", "##..")
WHOLE = drawn("###", "###")
CORNERS = drawn("#..#", "....", "#..#")
STRIPES = drawn("#.#.#", "#.#.#", "#.#.#")  # full columns: the run at a column's foot meets the next column's head
HAND_DRAWN = {
    "empty": EMPTY,
    "one pixel": ONE_PIXEL,
    "hole": HOLE,
    "left border": LEFT_BORDER,
    "whole image": WHOLE,
    "corners": CORNERS,
    "stripes": STRIPES,
}
hand_drawn = pytest.mark.parametrize("bitmask", HAND_DRAWN.values(), ids=HAND_DRAWN)

SIZE = (40, 50)  # of the images below
coordinate = st.floats(-30, 80, width=32)


@st.composite
def bitmasks(draw: st.DrawFn, max_side: int = 12) -> NDArray[np.uint8]:
    """Any small mask, runs of equal pixels being as likely as noise."""
    height, width = draw(st.integers(1, max_side)), draw(st.integers(1, max_side))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return (rng.random((height, width)) < draw(st.sampled_from([0, 0.1, 0.5, 0.9, 1]))).astype(np.uint8)


@st.composite
def outlines(draw: st.DrawFn) -> Polygon:
    """Stars and blobs without self-intersection, inside the image, across its border or beside it."""
    num_points = draw(st.integers(3, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    angles = (np.arange(num_points) + rng.uniform(0, 0.4, num_points)) * 2 * np.pi / num_points
    radii = draw(st.floats(2, 40)) * rng.uniform(0.3, 1, num_points)
    centre = np.array([draw(coordinate), draw(coordinate)])
    return centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]


# ---- bitmask and RLE


@hand_drawn
def test_a_bitmask_comes_back_from_its_rle(bitmask):
    rle = bitmask_to_rle(bitmask)
    assert rle["size"] == list(bitmask.shape)
    assert np.array_equal(rle_to_bitmask(rle), bitmask)
    assert rle_area(rle) == bitmask.sum()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32, np.int64])
def test_any_number_type_can_be_encoded_and_what_is_not_zero_is_inside(dtype):
    values = np.array([[0, 5], [1, 0]]).astype(dtype)
    assert np.array_equal(rle_to_bitmask(bitmask_to_rle(values)), drawn(".#", "#."))


@pytest.mark.parametrize(
    ("bitmask", "box"),
    [
        (ONE_PIXEL, [2, 1, 3, 2]),
        (EMPTY, [0, 0, 0, 0]),
        (HOLE, [0, 0, 4, 3]),
        (LEFT_BORDER, [0, 0, 2, 3]),
        (CORNERS, [0, 0, 4, 3]),
    ],
    ids=["one pixel", "empty", "hole", "left border", "corners"],
)
def test_the_box_of_a_mask_ends_after_its_last_pixel(bitmask, box):
    assert rle_to_box(bitmask_to_rle(bitmask)).tolist() == box


@hand_drawn
def test_runs_are_the_lengths_of_outside_and_inside_column_by_column(bitmask):
    assert rle_runs(bitmask_to_rle(bitmask)["counts"]).tolist() == uncompressed(bitmask)["counts"]


@given(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=30))
def test_runs_of_any_length_are_read_back(counts):
    side = max(1, sum(counts))
    counts[-1] += side - sum(counts)
    rle = coco_mask.frPyObjects({"size": [side, 1], "counts": counts}, side, 1)
    assert rle_runs(rle["counts"]).tolist() == counts


@given(st.lists(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=8), min_size=1, max_size=5))
def test_the_runs_of_several_masks_are_those_of_each(many_counts):
    rles = [coco_mask.frPyObjects({"size": [sum(c), 1], "counts": c}, sum(c), 1)["counts"] for c in many_counts]
    runs, owners = rles_runs(rles)
    assert [runs[owners == i].tolist() for i in range(len(rles))] == many_counts


def test_damage_is_found_among_sound_masks():
    sound = bitmask_to_rle(HOLE)["counts"]
    for damaged in (b"", b"04o"):
        with pytest.raises(InstsegError, match="expected compressed RLE"):
            rles_runs([sound, damaged, sound])


@pytest.mark.parametrize("counts", [b"", b"\x00\xff", b"04o", b"oooooooooooooooo0"])
def test_damaged_counts_are_refused(counts):
    with pytest.raises(InstsegError, match="expected compressed RLE"):
        rle_runs(counts)


# ---- crops and predicted masks


@hand_drawn
def test_a_crop_alone_is_encoded_as_itself(bitmask):
    assert crop_to_rle(bitmask.astype(bool), 0, 0, bitmask.shape) == bitmask_to_rle(bitmask)


@given(bitmasks(), st.data())
def test_a_crop_is_encoded_as_the_whole_image_that_is_empty_around_it(crop, data):
    above, below, left, right = (data.draw(st.integers(0, 3)) for _ in range(4))
    whole = np.pad(crop, ((above, below), (left, right)))
    assert crop_to_rle(crop.astype(bool), left, above, whole.shape) == bitmask_to_rle(whole)


@given(bitmasks(), st.integers(-5, 12), st.integers(-5, 12))
def test_what_reaches_out_of_the_image_is_cut_off(crop, left, top):
    around = np.zeros((40, 41), np.uint8)
    around[10 + top :, 10 + left :][: crop.shape[0], : crop.shape[1]] = crop
    image = around[10:18, 10:19]
    assert crop_to_rle(crop.astype(bool), left, top, image.shape) == bitmask_to_rle(image)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_a_crop_without_pixels_is_an_empty_mask(shape):
    assert crop_to_rle(np.zeros(shape, dtype=bool), 2, 1, (4, 5)) == bitmask_to_rle(np.zeros((4, 5)))


@given(bitmasks())
def test_the_pixels_in_the_box_of_a_mask_and_their_place_are_the_whole_mask(bitmask):
    crop, (left, top) = rle_to_crop(bitmask_to_rle(bitmask))
    assert crop_to_rle(crop.astype(bool), left, top, bitmask.shape) == bitmask_to_rle(bitmask)
    whole = np.zeros_like(bitmask)
    whole[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    np.testing.assert_array_equal(whole, bitmask != 0)


@given(st.integers(0, 2**32), coordinate, coordinate, st.floats(0.2, 70), st.floats(0.2, 70))
@settings(max_examples=150)
def test_a_predicted_mask_is_pasted_as_torchvision_does(seed, x, y, width, height):
    coarse = torch.from_numpy(np.random.default_rng(seed).random((1, 1, 5, 5), dtype=np.float32))
    probs = torch.nn.functional.interpolate(coarse, (28, 28), mode="bilinear")[0, 0]
    box = torch.tensor([x, y, x + width, y + height]).clamp(min=torch.zeros(4), max=torch.tensor([50.0, 40, 50, 40]))
    assume((box[2:] > box[:2]).all())  # detections are clipped to the image; torchvision fails on others
    pasted = paste_masks_in_image(probs[None, None], box[None], SIZE)[0, 0].numpy()
    ours = rle_to_bitmask(mask_probs_to_rle(probs.numpy(), box.numpy(), SIZE))
    differs = ours != (pasted > 0.5)
    assert not (differs & (np.abs(pasted - 0.5) > 1e-3)).any()


def test_a_predicted_mask_outside_the_image_is_empty():
    probs = np.ones((28, 28), dtype=np.float32)
    for box in ([60, 5, 70, 15], [-20, 5, -10, 15], [5, 45, 15, 55], [5, -30, 15, -20]):
        rle = mask_probs_to_rle(probs, np.array(box, dtype=np.float32), SIZE)
        assert rle["size"] == list(SIZE)
        assert rle_area(rle) == 0


def test_a_sure_mask_fills_its_box_to_within_a_pixel():
    rle = mask_probs_to_rle(np.ones((28, 28), dtype=np.float32), np.array([10.0, 5.0, 20.0, 12.0]), SIZE)
    assert np.abs(rle_to_box(rle) - [10, 5, 20, 12]).max() <= 1


# ---- polygons


def test_a_rectangle_on_the_grid_is_exactly_its_pixels():
    square = rectangle(1, 1, 4, 3)
    assert np.array_equal(rle_to_bitmask(polygons_to_rle([square], (4, 5))), drawn(".....", ".###.", ".###.", "....."))
    assert polygon_area(square) == 6
    assert polygons_to_box([square]).tolist() == [1, 1, 4, 3]


def test_the_area_does_not_depend_on_the_direction():
    assert polygon_area(rectangle(0, 0, 2, 3)) == polygon_area(rectangle(0, 0, 2, 3)[::-1]) == 6


def test_parts_are_united_not_subtracted():
    union = polygons_to_rle([rectangle(0, 0, 4, 4), rectangle(1, 1, 3, 3)], (4, 6))
    assert rle_area(union) == 16


@given(outlines(), st.integers(0, 3))
def test_a_drawn_polygon_has_the_area_of_its_outline(outline, scale):
    outline = (outline - outline.min(axis=0)) * 2**scale + 1
    height, width = (int(side) + 2 for side in outline.max(axis=0)[::-1])
    perimeter = np.linalg.norm(outline - np.roll(outline, 1, axis=0), axis=1).sum()
    assert rle_area(polygons_to_rle([outline], (height, width))) == pytest.approx(
        polygon_area(outline), abs=1 + perimeter / 4
    )


@pytest.mark.parametrize(("radius", "tolerance"), [(5, 0.03), (15, 0.01), (60, 0.003)])
def test_a_disc_is_drawn_true_to_area_where_a_filled_rim_would_inflate_it(radius, tolerance):
    angles = np.arange(64) * np.pi / 32
    disc = 70.3 + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert rle_area(polygons_to_rle([disc], (140, 140))) == pytest.approx(polygon_area(disc), rel=tolerance)


def test_a_polygon_inside_the_image_is_not_touched_by_clipping():
    inside = rectangle(0, 0, 50, 40)
    assert clip_polygon(inside, SIZE) is inside


@pytest.mark.parametrize(
    "outside",
    [
        rectangle(50, 3, 60, 8),
        rectangle(-9, 3, 0, 8),
        rectangle(60, 50, 70, 55),
        polygon((45, -20), (90, -20), (90, 20)),
    ],
    ids=["touches the right border", "touches the left border", "beyond the corner", "around the corner"],
)
def test_what_lies_outside_leaves_nothing(outside):
    assert clip_polygon(outside, SIZE).shape == (0, 2)


@given(outlines())
def test_clipping_leaves_what_the_image_would_show_of_the_polygon(outline):
    margin = 80
    large = (SIZE[0] + 2 * margin, SIZE[1] + 2 * margin)
    shown = rle_to_bitmask(polygons_to_rle([outline + margin], large))[margin:-margin, margin:-margin]
    clipped = clip_polygon(outline, SIZE)
    if len(clipped) == 0:
        assert shown.sum() <= 2
        return
    assert (clipped >= 0).all()
    assert (clipped <= SIZE[::-1]).all()
    perimeter = np.linalg.norm(clipped - np.roll(clipped, 1, axis=0), axis=1).sum()
    drawn_clipped = rle_to_bitmask(polygons_to_rle([clipped], SIZE))
    assert (drawn_clipped != shown).sum() <= 2 + perimeter / 8  # the fifths of pixels in which outlines are drawn
    assert polygon_area(clipped) == pytest.approx(shown.sum(), abs=2 + perimeter / 4)


def test_a_hook_that_leaves_around_the_corner_does_not_widen_the_box():
    """It leaves through the right side, turns above the image and never comes down into it."""
    hook = polygon((30, 20), (60, 20), (60, -20), (40, -20), (40, -10), (55, -10), (55, 10), (30, 10))
    clipped = clip_polygon(hook, SIZE)
    assert polygons_to_box([clipped]).tolist() == [30, 10, 50, 20]
    assert polygon_area(clipped) == 200


@given(outlines())
def test_the_box_of_a_clipped_polygon_holds_all_that_is_visible(outline):
    clipped = clip_polygon(outline, SIZE)
    assume(len(clipped))
    fine = 8  # the visible part, drawn eight times as large
    visible = rle_to_bitmask(polygons_to_rle([(outline + 80) * fine], (200 * fine, 210 * fine)))
    visible = visible[80 * fine : 120 * fine, 80 * fine : 130 * fine]
    assume(visible.any())
    box, seen = polygons_to_box([clipped]), rle_to_box(bitmask_to_rle(visible)) / fine
    assert (box[:2] <= seen[:2] + 2 / fine).all()
    assert (box[2:] >= seen[2:] - 2 / fine).all()


# ---- masks in the frame of their box


@pytest.mark.parametrize("size", [28, 112])
def test_a_rectangle_fills_its_box(size):
    box = np.array([3.25, 4.5, 17.75, 9.0])
    assert polygons_to_box_mask([rectangle(*box)], box, size).all()


def test_a_box_mask_keeps_the_orientation():
    """An L: tall at the left, short at the right."""
    shape = polygon((0, 0), (5, 0), (5, 10), (20, 10), (20, 20), (0, 20))
    box_mask = polygons_to_box_mask([shape], polygons_to_box([shape]), 4)
    assert np.array_equal(box_mask, drawn("#...", "#...", "####", "####"))


@given(outlines())
def test_a_box_mask_covers_the_share_of_the_box_that_the_polygon_does(outline):
    box = polygons_to_box([outline])
    sides = box[2:] - box[:2]
    assume(sides.min() > 1)
    share = polygons_to_box_mask([outline], box, 112).mean()
    in_frame = (outline - box[:2]) / sides
    perimeter = np.linalg.norm(in_frame - np.roll(in_frame, 1, axis=0), axis=1).sum()
    assert share == pytest.approx(polygon_area(outline) / sides.prod(), abs=perimeter / 4 / 112)


@given(st.integers(0, 2**32))
def test_box_masks_drawn_together_are_what_pycocotools_draws_one_by_one(seed):
    random = np.random.default_rng(seed)
    instances = [[star(*random.uniform(0, 90, 2), random.uniform(1, 40)) for _ in range(k)] for k in (1, 3, 1, 2)]
    boxes = np.stack([polygons_to_box(parts) for parts in instances])
    for parts, box, box_mask in zip(instances, boxes, polygons_to_box_masks(instances, boxes, 24), strict=True):
        scale = 24 / (box[2:] - box[:2])
        alone = polygons_to_rle([(part - box[:2]) * scale for part in parts], (24, 24))
        assert np.array_equal(box_mask, rle_to_bitmask(alone))


def test_no_instances_give_no_box_masks():
    assert polygons_to_box_masks([], np.zeros((0, 4)), 24).shape == (0, 24, 24)


def test_a_box_mask_of_a_bitmap_is_what_lies_in_its_box_enlarged():
    box_mask = bitmask_to_box_mask(drawn("##", "#."), 8)
    assert box_mask[:4, :4].all()
    assert not box_mask[5:, 5:].any()
    assert box_mask.mean() == pytest.approx(0.75, abs=0.1)


def test_one_pixel_fills_its_box():
    assert bitmask_to_box_mask(drawn("#"), 112).all()


@given(st.floats(8, 60), st.floats(0, 20), st.floats(0, 20))
def test_bitmap_and_polygon_of_one_shape_give_nearly_the_same_box_mask(radius, x, y):
    shape = star(x + radius, y + radius, radius)
    rle = polygons_to_rle([shape], (150, 150))
    x1, y1, x2, y2 = rle_to_box(rle).astype(int)
    from_bitmap = bitmask_to_box_mask(rle_to_bitmask(rle)[y1:y2, x1:x2], 112)
    from_polygon = polygons_to_box_mask([shape], rle_to_box(rle), 112)
    assert (from_bitmap != from_polygon).mean() < 1.2 / radius


# ---- COCO's segmentation field


def test_polygons_and_both_kinds_of_rle_mean_the_same_mask():
    bitmask = drawn("......", ".####.", ".####.", "......")
    expected = bitmask_to_rle(bitmask)
    as_text = {"size": [4, 6], "counts": expected["counts"].decode()}
    for segmentation in ([[1, 1, 5, 1, 5, 3, 1, 3]], uncompressed(bitmask), as_text, dict(expected)):
        assert segmentation_to_rle(segmentation, (4, 6)) == expected


@hand_drawn
def test_uncompressed_counts_are_read(bitmask):
    assert segmentation_to_rle(uncompressed(bitmask), bitmask.shape) == bitmask_to_rle(bitmask)


@pytest.mark.parametrize(
    ("segmentation", "why"),
    [
        ({"size": [6, 4], "counts": [24]}, r"RLE of size \[6, 4\] in an image of size \[4, 6\]"),
        ({"size": [4, 6], "counts": [20]}, "add up to 24"),
        ({"size": [4, 6], "counts": [30, -6]}, "add up to 24"),
        ({"size": [4, 6], "counts": [23.5, 0.5]}, "whole"),
        ({"size": [4, 6], "counts": []}, "whole"),
        ({"size": [4, 6], "counts": "04"}, "add up to 24"),
        ({"size": [4, 6], "counts": ""}, "expected compressed RLE"),
        ([[1, 1, 3, 3]], "three or more"),
        ([[1, 1, 3, 3, 5, 1], [1, 2, 3]], "three or more"),
        ([], "found list"),
        (None, "found NoneType"),
        ({"counts": [24]}, "found dict"),
    ],
)
def test_a_segmentation_that_is_none_is_refused_with_the_reason(segmentation, why):
    with pytest.raises(InstsegError, match=why):
        segmentation_to_rle(segmentation, (4, 6))
