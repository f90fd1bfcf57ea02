"""Label Studio's brush masks: byte for byte what its own programs write and read, and any mask there and back."""

from __future__ import annotations

import time

import numpy as np
import pytest
from factories import drawn
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from instseg.core.errors import InstsegError
from instseg.data.formats.labelstudio.brush_rle import decode_brush_rle, encode_brush_rle

MASK = drawn("#...........", "..######....", "............", "..........##")
MASK_RLE = [0, 0, 0, 192, 57, 27, 252, 127, 248, 204, 3, 11, 255, 230, 112, 9, 255, 192]
"""As the public label-studio-sdk (2.1.2, ``converter.brush.mask2rle``) writes the mask."""

SOFT_EDGE = drawn(".##", "##.")
SOFT_EDGE_RLE = [0, 0, 0, 24, 57, 27, 252, 96, 17, 173, 91, 255, 140, 0]
"""As the labelling page (``@thi.ng/rle-pack``) writes alpha 0, 90, 255, 255, 255, 0 in all four channels."""

COLOURED = drawn(".##", "#..")
COLOURED_RLE = [0, 0, 0, 24, 57, 27, 252, 96, 1, 127, 196, 0, 67, 254, 12, 64, 4, 63, 225, 68, 0, 45, 70, 0, 24, 8, 16]
COLOURED_RLE += [24, 0]
"""Separate values: rgba(255, 136, 0) with alpha 0, 255, 255, 90, 0, 0; the last pixel has colour but no alpha."""

LENGTH_BITS = (3, 4, 8, 16)
masks = np_st.arrays(np.uint8, np_st.array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.integers(0, 1))


def test_a_mask_is_written_as_label_studio_writes_it():
    assert encode_brush_rle(MASK) == MASK_RLE


@pytest.mark.parametrize(
    ("rle", "mask"),
    [(MASK_RLE, MASK), (SOFT_EDGE_RLE, SOFT_EDGE), (COLOURED_RLE, COLOURED)],
    ids=["runs", "soft edge", "separate values"],
)
def test_what_label_studio_wrote_is_read(rle, mask):
    decoded = decode_brush_rle(rle, mask.shape)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, mask)


def test_only_alpha_says_what_belongs_to_the_mask():
    colour_without_alpha = encode_brush_rle(drawn("..."))
    np.testing.assert_array_equal(decode_brush_rle(colour_without_alpha, (1, 3)), drawn("..."))
    assert decode_brush_rle(COLOURED_RLE, (2, 3))[1, 2] == 0


@st.composite
def block_lists(draw: st.DrawFn) -> list[tuple[int, list[int]]]:
    """Blocks (form of the length, values) of whole pixels together; equal values make a run or not."""
    num_values = 4 * draw(st.integers(1, 12))
    values = draw(st.lists(st.sampled_from([0, 90, 255]), min_size=num_values, max_size=num_values))
    blocks = []
    while values:
        form = draw(st.integers(0, 3))
        length = draw(st.integers(1, min(len(values), 1 << LENGTH_BITS[form])))
        blocks.append((form, values[:length]))
        values = values[length:]
    return blocks


def as_bytes(blocks: list[tuple[int, list[int]]]) -> list[int]:
    """The code spelled out bit by bit."""
    bits = f"{sum(len(values) for _, values in blocks):032b}" + f"{7:05b}"
    bits += "".join(f"{size - 1:04b}" for size in LENGTH_BITS)
    for form, values in blocks:
        is_run = len(set(values)) == 1
        bits += f"{is_run:b}{form:02b}{len(values) - 1:0{LENGTH_BITS[form]}b}"
        bits += "".join(f"{value:08b}" for value in (values[:1] if is_run else values))
    return [int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8)]


@given(block_lists())
def test_runs_and_separate_values_of_any_length_are_read_wherever_they_start(blocks):
    alpha = np.array([value for _, values in blocks for value in values])[3::4]
    np.testing.assert_array_equal(decode_brush_rle(as_bytes(blocks), (1, len(alpha))), [alpha > 0])


@given(masks)
def test_any_mask_survives_the_way_there_and_back(mask):
    np.testing.assert_array_equal(decode_brush_rle(encode_brush_rle(mask), mask.shape), mask)


@pytest.mark.parametrize("num_pixels", [2, 3, 4, 5, 63, 64, 65, 16383, 16384, 16385, 32768, 40000])
def test_runs_of_every_length_form_and_longer_than_any(num_pixels):
    mask = np.zeros((1, num_pixels + 1), dtype=np.uint8)
    mask[0, 1:] = 1
    rle = encode_brush_rle(mask)
    np.testing.assert_array_equal(decode_brush_rle(rle, mask.shape), mask)
    assert len(rle) <= 7 + 2 + 4 * -(-num_pixels // 16384)


@pytest.mark.parametrize("value", [True, 7, 255])
def test_any_value_but_zero_is_inside(value):
    mask = np.zeros((2, 3), dtype=np.uint8)
    mask[1, :2] = value
    assert encode_brush_rle(mask) == encode_brush_rle(mask.astype(bool))
    assert decode_brush_rle(encode_brush_rle(mask), (2, 3)).max() == 1


def test_an_image_of_12_megapixels_takes_no_time_to_speak_of():
    y, x = np.ogrid[:3000, :4000]
    disc = ((x - 2000) ** 2 + (y - 1500) ** 2 < 1400**2).astype(np.uint8)
    started = time.thread_time()
    decoded = decode_brush_rle(encode_brush_rle(disc), disc.shape)
    assert time.thread_time() - started < 2  # 0.03 s of computing, however busy the machine is
    np.testing.assert_array_equal(decoded, disc)


@pytest.mark.parametrize(
    ("rle", "size", "told"),
    [
        (None, (4, 12), "expected a list of 7 bytes or more, found None"),
        ("AAAA", (4, 12), "expected a list of 7 bytes or more"),
        (10**12, (4, 12), "expected a list of 7 bytes or more"),
        ([0, 0, 0, 192, 57], (4, 12), "expected a list of 7 bytes or more"),
        ([*MASK_RLE[:-1], 256], (4, 12), "expected bytes, 0 to 255"),
        ([*MASK_RLE[:-1], 0.5], (4, 12), "expected bytes, 0 to 255"),
        (MASK_RLE, (4, 13), r"of 192 values, expected 4 x 13 x 4 \(RGBA\)"),
        ([0] * 20, (0, 0), "0 x 0 pixels"),
        (MASK_RLE[:-2], (4, 12), "truncated, 128 bits hold 184 of 192 values"),
        ([0, 0, 0, 188, *MASK_RLE[4:]], (1, 47), "its blocks hold 192 values, expected 188"),
        ([*MASK_RLE[:4], 121, *MASK_RLE[5:]], (4, 12), "expected values of 8 bits, found 16"),
    ],
)
def test_what_is_no_brush_mask_of_this_size_is_told(rle, size, told):
    with pytest.raises(InstsegError, match=told):
        decode_brush_rle(rle, size)


def test_a_size_that_no_image_has_asks_for_no_memory():
    with pytest.raises(InstsegError, match=r"40000 x 25000 pixels, at most 300,000,000"):
        decode_brush_rle([*(4_000_000_000).to_bytes(4, "big"), *MASK_RLE[4:]], (25000, 40000))


@given(st.lists(st.integers(0, 255), max_size=40), st.integers(1, 6), st.integers(1, 6))
def test_damaged_bytes_are_a_mask_or_told(tail, height, width):
    data = [*(4 * height * width).to_bytes(4, "big"), *tail]
    try:
        assert decode_brush_rle(data, (height, width)).shape == (height, width)
    except InstsegError as error:
        assert "brush mask" in str(error)
