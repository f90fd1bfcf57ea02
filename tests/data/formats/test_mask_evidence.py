"""Masks that mean something else than one value for each object are told with the option that reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from factories import write_picture
from mask_pictures import VOC_PALETTE, write_mask
from reading import instances, read_labels

from instseg.core.errors import InstsegError
from instseg.data.formats.mask_folder.reader import MaskFolderReader

SIZE = (24, 40)


def squares(*values: int, background: int = 0, dtype: type = np.uint8) -> np.ndarray:
    """Squares of 5 px beside each other, of these values."""
    mask = np.full(SIZE, background, dtype)
    for n, value in enumerate(values):
        mask[6:11, 2 + 7 * n : 7 + 7 * n] = value
    return mask


def write(root: Path, mask: np.ndarray, palette: list[int] | None = None, count: int = 3) -> Path:
    for n in range(count):
        write_picture(root / f"images/{n}.png", SIZE, n)
        write_mask(root / f"masks/{n}.png", mask, palette)
    return root


def read(root: Path, **options):
    labels, findings = read_labels(MaskFolderReader(root, **options))
    found = instances(labels["all"])["images/0.png"]
    return [name for name, _ in found], {kind: names[0] for kind, names in findings.items()}


@pytest.mark.parametrize("palette", [None, VOC_PALETTE])
def test_values_that_are_several_squares_each_are_categories(tmp_path, palette):
    write(tmp_path, squares(1, 2, 1, 2), palette)
    names, findings = read(tmp_path)
    assert names == ["object", "object"]
    assert "'dataset.names={1: name, 2: name}'" in findings["mask_of_classes"]
    names, findings = read(tmp_path, names={1: "car", 2: "dog"})
    assert names == ["car", "car", "dog", "dog"] and "mask_of_classes" not in findings


def test_numbered_objects_are_no_categories_though_one_of_them_is_occluded(tmp_path):
    mask = squares(1, 2, 3, 4)
    mask[8, 2:7] = 5  # across the first
    assert "mask_of_classes" not in read(write(tmp_path, mask))[1]


def test_specks_are_no_regions(tmp_path):
    mask = squares(1, 2)
    mask[0, ::5], mask[2, ::5] = 1, 2
    assert "mask_of_classes" not in read(write(tmp_path, mask))[1]


def several(root: Path, *masks: tuple[int, ...], colours: bool = False) -> dict[str, str]:
    """The findings of images with one square of each value, as gray or as colours."""
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], np.uint8)
    for n, values in enumerate(masks):
        write_picture(root / f"images/{n}.png", SIZE, n)
        write_mask(root / f"masks/{n}.png", palette[squares(*values)] if colours else squares(*values, dtype=np.uint16))
    return read(root)[1]


@pytest.mark.parametrize(
    "masks",
    [
        [(8, 12)] * 4,
        [(3, 4)] * 3,
        [(8, 12), (8,), (12,), (8, 12), (8,)],
        [(1,), (2,), (2,), (1, 2), (1,), (2,)],
        [(1,), (3,), (1, 3), (2,), (3,), (2,), (1,), (2, 3)],
    ],
)
def test_the_same_few_values_in_many_masks_that_count_nothing_may_be_categories(tmp_path, masks):
    told = several(tmp_path, *masks)["mask_values_recur"]
    assert f"'dataset.names={{{min(map(min, masks))}: name, " in told and f"in {len(masks)} masks" in told


def test_colours_that_recur_in_any_order_may_be_categories(tmp_path):
    masks = [(1,), (2,), (1, 2), (2, 3), (3,), (1,), (2,), (3,)]
    assert "'dataset.names={#0000ff: name, " in several(tmp_path, *masks, colours=True)["mask_values_recur"]


@pytest.mark.parametrize(
    "masks",
    [
        [(1, 2)] * 4,
        [(1,), (1, 2, 3), (1, 2), (1, 2, 3, 4), (1, 2)],
        [(2, 3), (2,), (2, 3, 4), (2, 3)],  # 1 is set aside
        [(50, 100), (50,), (50, 100, 150), (50, 100)],  # made visible
        [(1, 2, 3), (1, 2, 4), (1, 2, 3, 5), (2, 3, 4, 5), (1, 2, 3)],  # some were deleted
        [(812, 44), (5, 93), (301, 7), (66, 2)],  # numbered at random
    ],
)
def test_numbered_objects_are_no_categories_in_whatever_way_they_are_numbered(tmp_path, masks):
    assert not {"mask_values_recur", "mask_of_classes", "mask_values_encoded"} & several(tmp_path, *masks).keys()


def test_the_first_colours_of_a_palette_number_objects(tmp_path):
    masks = [(1,), (1, 2, 3), (1, 2), (1, 2, 3, 4), (1, 2)]
    assert "mask_values_recur" not in several(tmp_path, *masks, colours=True)


@pytest.mark.parametrize("divisor", [1000, 256, 100])
def test_objects_that_each_category_counts_anew_are_told_with_their_divisor(tmp_path, divisor):
    values = [divisor + 1, divisor + 2, 3 * divisor + 1]
    told = several(tmp_path, tuple(values), tuple(values[:2]), tuple(values[::2]), (*values, 3 * divisor + 2))
    assert f"dataset.divisor={divisor} 'dataset.names={{1: name, 3: name}}'" in told["mask_values_encoded"]


def test_more_than_a_hundred_objects_are_no_encoding_though_some_were_deleted(tmp_path):
    write(tmp_path, np.kron(np.arange(1, 136).reshape(9, 15), np.ones((2, 2), int)).astype(np.uint16))
    assert "mask_values_encoded" not in read(tmp_path)[1]


def test_category_times_1000_plus_number_is_told_and_read_by_the_divisor(tmp_path):
    write(tmp_path, squares(1005, 2003, 10000, 23, dtype=np.uint16))
    _, findings = read(tmp_path)
    assert "dataset.divisor=1000" in findings["mask_values_encoded"]
    names, findings = read(tmp_path, divisor=1000, names={1: "car", 2: "person", 0: None})
    assert names == ["car", "person"] and findings["mask_value_unknown"] == "0.png: value 10000"
    assert read(tmp_path, divisor=1000)[0] == ["class_1", "class_2", "class_10"]


def test_many_numbered_objects_in_16_bits_are_no_encoding(tmp_path):
    mask = np.arange(1, SIZE[0] * SIZE[1] + 1, dtype=np.uint16).reshape(SIZE)
    mask[0, 0] = 1001
    assert "mask_values_encoded" not in read(write(tmp_path, mask))[1]


@pytest.mark.parametrize("value", [255, 1])
def test_dark_objects_on_a_bright_background_are_told_and_read_by_the_option(tmp_path, value):
    write(tmp_path, squares(0, 0, background=value))
    names, findings = read(tmp_path)
    assert names == ["object"] and f"dataset.background={value} " in findings["mask_background"]
    names, findings = read(tmp_path, background=value)
    assert names == ["object", "object"] and "mask_background" not in findings


def test_coloured_objects_on_white_are_read_by_the_colour_of_the_background(tmp_path):
    mask = np.full((*SIZE, 3), 255, np.uint8)
    mask[6:11, 2:7], mask[6:11, 9:14] = (255, 0, 0), (0, 255, 0)
    assert "dataset.background=255 " in read(write(tmp_path, mask))[1]["mask_background"]
    assert read(tmp_path, background="#ffffff")[0] == ["object", "object"]


def test_one_object_in_the_middle_of_most_of_the_image_is_no_background(tmp_path):
    mask = np.zeros(SIZE, np.uint8)
    mask[1:-1, 1:-1] = 255
    assert "mask_background" not in read(write(tmp_path, mask))[1]


def test_instances_of_the_only_category_say_that_they_have_no_name(tmp_path):
    write(tmp_path, squares(1, 2))
    assert "dataset.category=NAME" in read(tmp_path)[1]["category_unnamed"]
    assert "category_unnamed" not in read(tmp_path, category="cell")[1]


@pytest.mark.parametrize("options", [{"divisor": 1}, {"divisor": 0}, {"background": "white"}])
def test_options_that_mean_nothing_are_refused_with_their_name(tmp_path, options):
    with pytest.raises(InstsegError, match=rf"dataset\.{next(iter(options))}"):
        read(write(tmp_path, squares(1, 2)), **options)
