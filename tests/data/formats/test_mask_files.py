"""Mask pictures of every kind become one number for each pixel, numbers become instances, and images get no say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from factories import drawn, make_picture
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.core.masks import rle_to_bitmask
from instseg.data.formats.mask_files import is_scaled, read_mask, read_mask_as, resized
from instseg.data.formats.mask_values import COLOUR, regions_of, rles_of_values, shown_value, value_named

NUMBERED = np.array([[0, 1, 1, 0], [0, 1, 0, 3], [2, 2, 0, 3]], dtype=np.uint8)
RED, GREEN = COLOUR + 0xFF0000, COLOUR + 0x00FF00


def saved(path: Path, pixels: np.ndarray, mode: str | None = None, **options) -> Path:
    image = PilImage.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def indexed(path: Path, values: np.ndarray, palette: list[int]) -> Path:
    image = PilImage.fromarray(values)
    image.putpalette(palette)
    image.save(path)
    return path


# ---- pictures


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_gray_masks_of_8_16_and_32_bits_hold_their_numbers(tmp_path, dtype):
    mask = read_mask(saved(tmp_path / "a.tiff", NUMBERED.astype(dtype)))
    assert mask.values.tolist() == NUMBERED.tolist()
    assert not mask.is_black_and_white


def test_more_than_255_instances_in_16_bits(tmp_path):
    values = np.arange(1200, dtype=np.uint16).reshape(30, 40)
    assert read_mask(saved(tmp_path / "a.png", values)).values.max() == 1199


def test_an_indexed_mask_holds_its_indices_whatever_their_colours(tmp_path):
    mask = read_mask(indexed(tmp_path / "a.png", NUMBERED, [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 0, 0]))
    assert mask.values.tolist() == NUMBERED.tolist()
    assert mask.is_indexed


def test_the_colours_of_an_indexed_mask_count_where_black_is_not_the_first(tmp_path):
    # As programs write it that count colours after painting: here 1 is the background.
    values = np.array([[1, 0, 0], [1, 1, 2]], dtype=np.uint8)
    mask = read_mask(indexed(tmp_path / "a.png", values, [255, 0, 0, 0, 0, 0, 0, 255, 0]))
    assert mask.values.tolist() == [[0, RED, RED], [0, 0, GREEN]]
    assert not mask.is_indexed


def test_one_bit_is_black_and_white(tmp_path):
    mask = read_mask(saved(tmp_path / "a.png", drawn(".##", "...") * 255, "1"))
    assert mask.values.astype(bool).tolist() == [[False, True, True], [False, False, False]]
    assert mask.is_black_and_white


def test_colours_are_values_and_black_is_nothing(tmp_path):
    pixels = np.zeros((2, 3, 3), dtype=np.uint8)
    pixels[0, 1], pixels[1, 2], pixels[1, 0] = (255, 0, 0), (0, 255, 0), (9, 9, 9)
    mask = read_mask(saved(tmp_path / "a.png", pixels))
    assert mask.values.tolist() == [[0, RED, 0], [9, 0, GREEN]]


def test_three_equal_channels_are_gray(tmp_path):
    mask = read_mask(saved(tmp_path / "a.png", np.repeat(drawn(".#", "##")[..., None] * 255, 3, axis=2)))
    assert mask.values.tolist() == [[0, 255], [255, 255]]
    assert mask.is_black_and_white


def test_what_is_transparent_is_nothing(tmp_path):
    pixels = np.zeros((1, 3, 4), dtype=np.uint8)
    pixels[0] = [(255, 0, 0, 0), (255, 0, 0, 255), (0, 255, 0, 200)]
    assert read_mask(saved(tmp_path / "a.png", pixels)).values.tolist() == [[0, RED, GREEN]]


def test_a_mask_drawn_in_alpha_alone(tmp_path):
    pixels = np.zeros((1, 3, 4), dtype=np.uint8)
    pixels[0, 1:, 3] = 255
    assert read_mask(saved(tmp_path / "a.png", pixels)).values.tolist() == [[0, 255, 255]]


def disc(radius: int = 40) -> np.ndarray:
    y, x = np.mgrid[:100, :120]
    return ((x - 60) ** 2 + (y - 50) ** 2 <= radius**2).astype(np.uint8) * 255


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_soft_edges_between_black_and_white_are_cut_at_half(tmp_path, name):
    small = PilImage.fromarray(disc()).resize((240, 200), PilImage.Resampling.BICUBIC)
    small.save(tmp_path / name)
    mask = read_mask(tmp_path / name)
    assert mask.is_softened
    assert mask.is_black_and_white
    assert abs((mask.values > 0).mean() - (disc() > 0).mean()) < 0.005


def test_many_numbered_instances_are_not_taken_for_soft_edges(tmp_path):
    values = np.repeat(np.repeat(np.arange(0, 240, 6, dtype=np.uint8).reshape(5, 8), 10, axis=0), 10, axis=1)
    mask = read_mask(saved(tmp_path / "a.png", values))
    assert not mask.is_softened
    assert len(rles_of_values(mask.values)) == 39


def test_numbered_instances_in_a_jpeg_are_refused(tmp_path):
    path = saved(tmp_path / "a.jpg", np.kron(NUMBERED * 60, np.ones((16, 16), dtype=np.uint8)))
    with pytest.raises(InstsegError, match=r"a\.jpg.*write masks as PNG"):
        read_mask(path)


def test_an_image_instead_of_a_mask_is_refused(tmp_path):
    mask = read_mask(saved(tmp_path / "a.png", make_picture((60, 80))))
    with pytest.raises(InstsegError, match="different colours, expected one for each instance"):
        rles_of_values(mask.values)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"not a picture"])
def test_what_is_no_picture_is_an_error_with_its_name(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InstsegError, match=r"a\.png: cannot be read as a mask"):
        read_mask(tmp_path / "a.png")


def test_fractions_and_negative_numbers_are_no_instances(tmp_path):
    for values in (NUMBERED + np.float32(0.5), -NUMBERED.astype(np.int32)):
        with pytest.raises(InstsegError, match="expected"):
            read_mask(saved(tmp_path / "a.tiff", values))
    assert read_mask(saved(tmp_path / "a.tiff", NUMBERED.astype(np.float32))).values.tolist() == NUMBERED.tolist()


@settings(max_examples=60, deadline=None)
@given(where=st.integers(0, 400), value=st.integers(0, 255), cut=st.integers(0, 400))
def test_damaged_files_give_a_mask_or_an_error_of_ours(tmp_path_factory, where, value, cut):
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    content = bytearray(
        indexed(path, np.kron(NUMBERED, np.ones((9, 9), dtype=np.uint8)), [0, 0, 0, 9, 9, 9]).read_bytes()
    )
    content[where % len(content)] = value
    path.write_bytes(content[: max(1, len(content) - cut)])
    try:
        rles_of_values(read_mask(path).values)
    except InstsegError as error:
        assert str(path) in str(error)


# ---- values


@given(hnp.arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 2, 700])))
def test_the_masks_of_all_values_together_are_the_picture(values):
    rles = rles_of_values(values)
    assert list(rles) == sorted(set(values.reshape(-1).tolist()) - {0})
    painted = sum(value * rle_to_bitmask(rle).astype(np.int64) for value, rle in rles.items())
    assert np.array_equal(painted + np.zeros_like(values, dtype=np.int64), values)


def test_regions_that_touch_at_a_corner_are_one():
    regions = regions_of(drawn("##...", "..#..", "....#"))
    assert [rle_to_bitmask(rle).tolist() for rle in regions] == [
        drawn("##...", "..#..", ".....").tolist(),
        drawn(".....", ".....", "....#").tolist(),
    ]


def test_values_are_called_by_their_number_or_colour():
    assert value_named(3) == value_named("3") == 3
    assert value_named("#FF0000") == RED
    assert value_named("#070707") == 7
    assert [shown_value(value) for value in (3, RED)] == ["3", "#ff0000"]
    for wrong in ("red", "-1", "#12345", "", "1.5", "9" * 5000):
        with pytest.raises(InstsegError, match="is no pixel value"):
            value_named(wrong)


# ---- sizes


@pytest.mark.parametrize(
    ("mask", "image", "expected"),
    [
        ((1066, 1600), (683, 1024), True),
        ((533, 800), (682, 1024), True),
        ((1024, 768), (768, 1024), False),
        ((600, 800), (683, 1024), False),
        ((340, 11401), (30, 1000), True),
    ],
)
def test_a_scaled_mask_may_miss_the_shape_by_rounding(mask, image, expected):
    assert is_scaled(mask, image) == is_scaled(image, mask) == expected


def test_scaling_takes_the_pixel_under_the_centre():
    assert resized(drawn(".#"), (2, 4)).tolist() == drawn("..##", "..##").tolist()
    assert resized(np.arange(6).reshape(1, 6), (1, 2)).tolist() == [[1, 4]]


def test_a_mask_comes_in_the_size_that_it_has_before_one_that_it_could_be_scaled_to(tmp_path):
    path = saved(tmp_path / "a.png", np.ones((50, 100), dtype=np.uint8))
    assert read_mask_as(path, [(100, 200), (50, 100)]).size == (50, 100)
    assert read_mask_as(path, [(200, 100), (100, 200)]).size == (100, 200)
    with pytest.raises(InstsegError, match=r"a\.png: is 100x50, its image 100x200 or 300x200"):
        read_mask_as(path, [(200, 100), (200, 300)])
