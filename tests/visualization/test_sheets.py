"""Sheets fit a screen, wide images are cut into rows, and pictures are written whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.visualization.sheets import (
    SCREEN,
    WIDE,
    contact_sheet,
    fit,
    side_by_side,
    stacked,
    tile_size,
    wrapped,
    write_image,
)

GRAY = 90
SIDES = st.integers(1, 20_000)


def gray(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), GRAY, np.uint8)


def test_two_pictures_stand_side_by_side_and_panoramas_one_above_the_other():
    upright = side_by_side(gray(600, 800), gray(600, 800), height_px=300)
    assert upright.shape[0] > 300 and upright.shape[1] in range(800, 820)
    wide = side_by_side(gray(340, 11401), gray(340, 11401), height_px=480)
    assert wide.shape[1] == 1440 and wide.shape[0] in range(80, 180)


def test_a_contact_sheet_holds_every_tile_and_fills_the_last_row_with_paper():
    sheet = contact_sheet([gray(50, 100), gray(300, 200), gray(1, 1)], 2, (100, 100))
    assert sheet.shape[0] == sheet.shape[1] == 206
    assert (sheet[106:, 106:] == 255).all()
    assert (sheet[50, 50] == GRAY).all() and (sheet[5, 50] == 255).all()
    with pytest.raises(InstsegError, match="at least one"):
        contact_sheet([], 2, (100, 100))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8))
def test_a_sheet_of_any_number_of_pictures_fits_a_screen(num_images, columns):
    columns = max(min(columns, num_images), -(-num_images // 12))
    tile = tile_size(num_images, columns)
    sheet = contact_sheet([gray(*tile)] * num_images, columns, tile, ["a name"] * num_images)
    assert sheet.shape[0] <= SCREEN[0] and sheet.shape[1] <= SCREEN[1]
    assert sheet.shape[0] > SCREEN[0] - 20 and sheet.shape[1] > SCREEN[1] - 20 - columns


@given(SIDES, SIDES)
def test_any_image_fits_its_place_and_only_wide_ones_are_cut(height, width):
    size, rows = fit((height, width), (480, 640))
    assert (rows > 1) <= (width > WIDE * height)
    block = (size[0] * rows + 3 * (rows - 1), -(-size[1] // rows))
    assert block[0] <= 480 and block[1] <= 640
    assert max(block[0] / 480, block[1] / 640) > 0.9 or rows == 16 or min(height, width) < 10


def test_a_panorama_becomes_a_block_that_shows_all_of_it():
    size, rows = fit((340, 11401), (480, 640))
    assert rows == 5
    panorama = np.zeros((*size, 3), np.uint8)
    panorama[:] = np.linspace(0, 250, size[1])[None, :, None]
    block = wrapped(panorama, rows)
    assert block.shape[0] > 0.9 * 480 and block.shape[1] > 0.9 * 640
    starts = [int(block[row * (size[0] + 3), 0, 0]) for row in range(rows)]
    assert starts == pytest.approx([0, 50, 100, 150, 200], abs=2)


def test_stacked_pictures_are_filled_up_with_paper():
    picture = stacked([gray(10, 30), gray(5, 20)], gap=4)
    assert picture.shape == (19, 30, 3)
    assert (picture[10:14] == 255).all() and (picture[14:, 20:] == 255).all()


@pytest.mark.parametrize("name", ["new/a.png", "a.jpg"])
def test_pictures_are_written_whole(tmp_path, name):
    write_image(tmp_path / name, gray(20, 30))
    with PilImage.open(tmp_path / name) as image:
        assert image.size == (30, 20) and image.format == {"png": "PNG", "jpg": "JPEG"}[name[-3:]]
    assert [p.name for p in (tmp_path / name).parent.iterdir() if p.is_file()] == [name.split("/")[-1]]
