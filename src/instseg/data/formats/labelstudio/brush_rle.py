"""Label Studio's brush masks: a run-length code of the RGBA pixels of a canvas, as a bit stream.

The layout is that of the JavaScript package ``@thi.ng/rle-pack``; all numbers have their highest bit first:

- a header: number of values (32 bits), bits per value less one (5), bits of each of four forms of a length less one
  (4 times 4)
- blocks, until all values are there: run (1) or separate values (0) (1 bit); form of the length (2 bits); length less
  one; one value for a run, otherwise ``length`` values
- zeros up to the end of the byte

The values are red, green, blue and alpha of each pixel, row by row; alpha alone defines the mask.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from instseg.core.errors import InstsegError
from instseg.core.types import Bitmask, ImageSize
from instseg.data.reading.pixel_limits import check_pixels

VALUE_BITS = 8
LENGTH_BITS = (3, 4, 8, 16)
"""Forms of a length that Label Studio writes; others are read too."""
HEADER_BITS = 32 + 5 + 4 * 4
CHANNELS = 4


def decode_brush_rle(rle: object, image_size: ImageSize) -> Bitmask:
    """Decode the bytes of ``value.rle`` to a mask (H, W) of 0 and 1.

    A pixel is inside when its alpha is not 0, as in Label Studio itself: some tools write half-transparent masks.

    Args:
        rle: integers 0..255.
        image_size: (height, width) of the canvas.

    Raises:
        InstsegError: the bytes are not such a code, or of another size.
    """
    data = _as_bytes(rle)
    height, width = image_size
    num_values = int.from_bytes(data[:4], "big")
    if num_values != CHANNELS * height * width:
        raise InstsegError(f"brush mask of {num_values} values, expected {CHANNELS} x {width} x {height} (RGBA)")
    if height * width < 1:
        raise InstsegError(f"brush mask of {width} x {height} pixels")
    check_pixels(width, height)
    is_run, starts, positions = _blocks(data, num_values)
    inside = _alpha(data, is_run, starts, positions) != 0
    bitmask: Bitmask = inside.view(np.uint8).reshape(height, width)
    return bitmask


def encode_brush_rle(bitmask: NDArray[np.generic]) -> list[int]:
    """Encode a mask (H, W), non-zero inside, as the bytes of ``value.rle``: all channels are 255 inside, 0 outside."""
    inside = np.asarray(bitmask).astype(bool).reshape(-1)
    borders = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts = np.concatenate([[0], borders]) if inside.size else borders
    lengths = np.diff(np.append(starts, inside.size)) * CHANNELS
    lengths, values = _split_runs(lengths, np.where(inside[starts], 255, 0))
    header = (inside.size * CHANNELS) << 21 | (VALUE_BITS - 1) << 16
    header |= sum((bits - 1) << shift for bits, shift in zip(LENGTH_BITS, (12, 8, 4, 0), strict=True))
    rle: list[int] = _pack(header, *_codes(lengths, values)).tolist()
    return rle


def _as_bytes(rle: object) -> bytes:
    if not isinstance(rle, list | tuple) or 8 * len(rle) < HEADER_BITS:
        raise InstsegError(f"brush mask: expected a list of 7 bytes or more, found {str(rle)[:60]}")
    try:
        return bytes(rle)
    except (TypeError, ValueError) as error:
        raise InstsegError(f"brush mask: expected bytes, 0 to 255; found {str(rle)[:60]}") from error


def _blocks(data: bytes, num_values: int) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Find the blocks: whether each is a run, its first value (plus the end of the last), the first bit of its values.

    Each block determines where the next one starts, hence the loop; the values are decoded by array operations.
    """
    header = int.from_bytes(data[4:7], "big")
    if header >> 19 != VALUE_BITS - 1:
        raise InstsegError(f"brush mask: expected values of {VALUE_BITS} bits, found {(header >> 19) + 1}")
    length_bits = [(header >> shift & 15) + 1 for shift in (15, 11, 7, 3)]
    num_bits, padded = 8 * len(data), data + bytes(4)
    runs, starts, positions = [], [0], []
    position, start = HEADER_BITS, 0
    while start < num_values:
        byte, shift = position >> 3, 29 - (position & 7)
        window = int.from_bytes(padded[byte : byte + 4], "big")
        bits = length_bits[window >> shift & 3]
        is_run = window >> shift + 2 & 1
        length = (window >> shift - bits & (1 << bits) - 1) + 1
        position += 3 + bits
        runs.append(is_run)
        positions.append(position)
        start += length
        starts.append(start)
        position += VALUE_BITS if is_run else VALUE_BITS * length
        if position > num_bits:
            raise InstsegError(f"brush mask: truncated, {num_bits} bits hold {starts[-2]} of {num_values} values")
    if start != num_values:
        raise InstsegError(f"brush mask: its blocks hold {start} values, expected {num_values}")
    return np.array(runs, dtype=bool), np.array(starts), np.array(positions)


def _alpha(
    data: bytes, is_run: NDArray[np.bool_], starts: NDArray[np.int64], positions: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Decode every fourth value: block i has the alpha of pixels ``starts[i] // 4`` to ``starts[i + 1] // 4``."""
    pixels = starts // CHANNELS
    counts = np.diff(pixels)
    alpha = np.repeat(np.where(is_run, _bytes_at(data, positions), 0).astype(np.uint8), counts)
    separate = np.flatnonzero(~is_run & (counts > 0))
    block = np.repeat(separate, counts[separate])
    within = np.arange(len(block)) - np.repeat(np.cumsum(counts[separate]) - counts[separate], counts[separate])
    pixel = pixels[block] + within
    value = CHANNELS * pixel + CHANNELS - 1 - starts[block]
    alpha[pixel] = _bytes_at(data, positions[block] + VALUE_BITS * value)
    return alpha


def _bytes_at(data: bytes, bit: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Return the 8 bits that start at each position."""
    source = np.frombuffer(data + bytes(1), dtype=np.uint8).astype(np.uint16)
    byte, shift = bit >> 3, (8 - (bit & 7)).astype(np.uint16)
    found: NDArray[np.uint16] = (source[byte] << 8 | source[byte + 1]) >> shift & 255
    return found


def _split_runs(lengths: NDArray[np.int64], values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split runs that are longer than a block can hold; all pieces but the last have the maximum length."""
    longest = 1 << LENGTH_BITS[-1]
    num_blocks = -(-lengths // longest)
    split = np.full(int(num_blocks.sum()), longest)
    split[np.cumsum(num_blocks) - 1] = lengths - (num_blocks - 1) * longest
    return split, np.repeat(values, num_blocks)


def _codes(lengths: NDArray[np.int64], values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Encode each run as one number and its number of bits, with the shortest form of the length that fits."""
    bits = np.array(LENGTH_BITS)
    form = np.searchsorted(1 << bits, lengths)
    codes = (4 | form) << bits[form] | lengths - 1
    return codes << VALUE_BITS | values, 3 + bits[form] + VALUE_BITS


def _pack(header: int, codes: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Concatenate the header and the codes, which have ``sizes`` bits each."""
    ends = HEADER_BITS + np.cumsum(sizes)
    stream = np.zeros(int(ends[-1]) if len(ends) else HEADER_BITS, dtype=np.uint8)
    stream[:HEADER_BITS] = [header >> shift & 1 for shift in range(HEADER_BITS - 1, -1, -1)]
    for bit in range(int(sizes.max(initial=0))):
        has_it = sizes > bit
        stream[ends[has_it] - 1 - bit] = codes[has_it] >> bit & 1
    return np.packbits(stream)
