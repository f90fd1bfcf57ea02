"""Arrays mean what people mean by them, or are refused by a sentence with dtype, shape, range and a way out."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.data.reading.arrays import array_to_image
from instseg.data.reading.images import read_image

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "same",
    [
        RGB,
        RGB.astype(np.int64),
        RGB.astype(np.uint16),
        RGB.astype(np.uint16) * 257,
        RGB / 255,
        (RGB / 255).astype(np.float32),
        (RGB / 255).astype(np.float16),
        np.asfortranarray(RGB),
        np.dstack([RGB, np.full((6, 8), 255, np.uint8)]),
    ],
    ids=["uint8", "int64", "uint16 of 8 bits", "uint16", "float64", "float32", "float16", "fortran", "rgba"],
)
def test_the_same_image_in_any_form_gives_the_same_pixels(same):
    image = array_to_image(same)
    assert image.dtype == np.uint8 and image.flags.c_contiguous
    np.testing.assert_array_equal(image, RGB)


def test_gray_is_repeated_with_or_without_a_channel():
    gray = RGB[..., 0]
    for given in (gray, gray[..., None], gray / 255):
        np.testing.assert_array_equal(array_to_image(given), np.dstack([gray] * 3))


def test_the_pixels_are_a_copy():
    given = RGB.copy()
    image = array_to_image(given)
    given[:] = 0
    np.testing.assert_array_equal(image, RGB)


@pytest.mark.parametrize(
    ("shape", "dtype", "bits"), [((6, 8, 4), np.uint8, 8), ((6, 8), np.uint16, 16), ((6, 8), np.uint16, 12)]
)
def test_an_array_gives_the_same_pixels_as_its_file(shape, dtype, bits, tmp_path):
    array = np.random.default_rng(1).integers(0, 1 << bits, shape).astype(dtype)
    PilImage.fromarray(array).save(tmp_path / "image.png")
    np.testing.assert_array_equal(array_to_image(array), read_image(tmp_path / "image.png"))


def test_a_resize_may_leave_the_range_by_a_rounding_error():
    assert array_to_image(np.full((2, 2), 1.0000002)).max() == 255
    assert array_to_image(np.full((2, 2), -1e-7)).max() == 0


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (RGB.astype(np.float32), r"float32 array of 6 x 8 x 3 with values .* to 25\d: .*0 to 1.*astype\(np.uint8\)"),
        (RGB / 127.5 - 1, "float64 array .* with values -.*undo the normalisation"),
        (np.full((4, 4), np.nan), "some are not finite: np.nan_to_num"),
        (np.full((4, 4), 4000.0), "divide by the largest value"),
        (np.full((4, 4), 4000), r"int64 array of 4 x 4 with values 4000 to 4000: .*image.astype\(np.uint16\)"),
        (np.full((4, 4), -1), "int64 array of 4 x 4 with values -1 to -1: expected uint8"),
        (np.ones((4, 4), bool), "bool array of 4 x 4: expected uint8"),
        (np.ones((4, 4), complex), "complex128 array of 4 x 4: expected uint8"),
        (RGB.transpose(2, 0, 1), r"the channels come first: image.transpose\(1, 2, 0\)"),
        (np.zeros((4, 4, 2), np.uint8), r"uint8 array of 4 x 4 x 2 .*expected \(height, width, 3\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"expected one image.*list\(images\)"),
        (np.zeros((0, 4, 3), np.uint8), "uint8 array of 0 x 4 x 3: expected"),
        (np.array(7), "int64 array of no dimension"),
    ],
)
def test_what_is_no_image_is_refused_with_what_was_expected(array, message):
    with pytest.raises(InstsegError, match=message):
        array_to_image(array)
