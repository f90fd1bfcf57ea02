"""Every kind of file a camera, a scanner or a drawing program makes, read as a person sees it."""

from __future__ import annotations

import io
import json
import re
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.data.reading.image_files import find_images
from instseg.data.reading.images import read_image, read_image_header

SHARED = (Path(__file__).parents[3] / "../shared/data").resolve()
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quadrants(height: int = 16, width: int = 32) -> NDArray[np.uint8]:
    """Red, green / blue, white: no flip or turn leaves it as it is."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = RED
    picture[: height // 2, width // 2 :] = GREEN
    picture[height // 2 :, : width // 2] = BLUE
    picture[height // 2 :, width // 2 :] = WHITE
    return picture


def stored_turned(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The pixels a camera stores so that a viewer obeying the orientation shows ``upright`` (EXIF 2.3, table 8)."""
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),  # row 0 of the file is the right side of the picture
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    return np.ascontiguousarray(turned)


def exif(orientation: int) -> PilImage.Exif:
    block = PilImage.Exif()
    block[0x0112] = orientation
    return block


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".png", {}),
        (".jpg", {"quality": 95, "subsampling": 0}),
        (".webp", {"lossless": True}),
        (".tif", {}),
        (".tif", {"compression": "tiff_lzw"}),
    ],
)
def test_every_exif_orientation_is_shown_upright(tmp_path, orientation, suffix, options):
    upright, path = quadrants(), tmp_path / f"photo{suffix}"
    stored = stored_turned(upright, orientation)
    PilImage.fromarray(stored).save(path, exif=exif(orientation), **options)

    header = read_image_header(path)
    assert (header.size, header.orientation) == (stored.shape[:2], orientation)
    assert header.displayed_size == upright.shape[:2]
    np.testing.assert_allclose(read_image(path), upright, atol=3)
    np.testing.assert_allclose(read_image(path, rotate=False), stored, atol=3)


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_impossible_orientation_counts_as_upright(tmp_path, value):
    PilImage.fromarray(quadrants()).save(tmp_path / "a.png", exif=exif(value))
    assert read_image_header(tmp_path / "a.png").orientation == 1
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), quadrants())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0MM\0\x2a\0\0\0\x08\xff\xff\x01\x12"])
def test_a_damaged_exif_block_counts_as_upright(tmp_path, block):
    PilImage.fromarray(quadrants()).save(tmp_path / "a.jpg", exif=block, quality=95, subsampling=0)
    assert read_image_header(tmp_path / "a.jpg").orientation == 1
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg"), quadrants(), atol=3)


def test_exif_behind_the_pixels_of_a_png_is_found(tmp_path):
    early, late = io.BytesIO(), tmp_path / "late.png"
    PilImage.fromarray(stored_turned(quadrants(), 6)).save(early, "png")
    body = b"eXIf" + exif(6).tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    late.write_bytes(early.getvalue()[:-12] + chunk + early.getvalue()[-12:])
    assert read_image_header(late).orientation == 6
    np.testing.assert_array_equal(read_image(late), quadrants())


def test_grayscale_and_one_bit_pictures_become_three_equal_channels(tmp_path):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    PilImage.fromarray(ramp).save(tmp_path / "gray.png")
    np.testing.assert_array_equal(read_image(tmp_path / "gray.png"), ramp[..., None].repeat(3, 2))
    PilImage.fromarray(ramp > 127).save(tmp_path / "scan.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "scan.tif")[..., 1], (ramp > 127) * np.uint8(255))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_16_bit_gray_is_scaled_not_cut_off(tmp_path, suffix):
    deep = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    PilImage.fromarray(deep).save(tmp_path / f"deep{suffix}")
    np.testing.assert_array_equal(read_image(tmp_path / f"deep{suffix}")[..., 0], np.arange(256).reshape(16, 16))


def test_16_bit_colour_is_scaled(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (8, 8, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    np.testing.assert_allclose(read_image(tmp_path / "deep.png"), deep / 257, atol=1)


def test_float_pixels_are_refused_with_a_way_out(tmp_path):
    PilImage.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "depth.tif")
    with pytest.raises(InstsegError, match=r"depth\.tif.*float.*convert"):
        read_image(tmp_path / "depth.tif")


def test_palette_pictures_show_their_colours(tmp_path):
    PilImage.fromarray(quadrants()).quantize(4).save(tmp_path / "drawing.gif")
    np.testing.assert_allclose(read_image(tmp_path / "drawing.gif"), quadrants(), atol=2)


def test_transparent_pixels_show_white_paper(tmp_path):
    colour, gray = np.zeros((1, 3, 4), np.uint8), np.zeros((1, 3, 2), np.uint8)
    colour[0, :, 0], gray[0, :, 0] = 200, 100
    colour[0, :, 3] = gray[0, :, 1] = (0, 255, 51)  # 51 is a fifth
    PilImage.fromarray(colour).save(tmp_path / "rgba.png")
    PilImage.fromarray(gray).save(tmp_path / "la.png")
    np.testing.assert_allclose(read_image(tmp_path / "rgba.png")[0], [WHITE, (200, 0, 0), (244, 204, 204)], atol=1)
    np.testing.assert_allclose(read_image(tmp_path / "la.png")[0, :, 0], [255, 100, 224], atol=1)


def test_transparent_palette_entries_show_white_paper(tmp_path):
    drawing = PilImage.fromarray(quadrants()).quantize(4)
    red = drawing.getpixel((0, 0))
    drawing.save(tmp_path / "drawing.png", transparency=red)
    expected = quadrants()
    expected[:8, :16] = WHITE
    np.testing.assert_allclose(read_image(tmp_path / "drawing.png"), expected, atol=2)


def test_a_transparent_key_colour_shows_white_paper(tmp_path):
    PilImage.fromarray(quadrants()).save(tmp_path / "key.png", transparency=BLUE)
    assert tuple(read_image(tmp_path / "key.png")[15, 0]) == WHITE


def cmyk_jpeg(cmyk: tuple[int, int, int, int]) -> bytes:
    """As Adobe writes them: inverted, with the Adobe marker."""
    file = io.BytesIO()
    PilImage.new("CMYK", (16, 16), cmyk).save(file, "jpeg", quality=100, subsampling=0)
    return file.getvalue()


@pytest.mark.parametrize(
    ("cmyk", "rgb"),
    [((0, 0, 0, 0), WHITE), ((0, 255, 255, 0), RED), ((255, 0, 255, 0), GREEN), ((0, 0, 0, 255), (0, 0, 0))],
)
def test_cmyk_jpegs_of_adobe_are_not_negatives(tmp_path, cmyk, rgb):
    (tmp_path / "print.jpg").write_bytes(cmyk_jpeg(cmyk))
    np.testing.assert_allclose(read_image(tmp_path / "print.jpg")[8, 8], rgb, atol=3)


def test_ycck_jpegs_of_adobe_show_their_colours(tmp_path):
    luma, blue, red = (int(v) for v in PilImage.new("RGB", (1, 1), (55, 175, 225)).convert("YCbCr").getpixel((0, 0)))
    stored = bytearray(cmyk_jpeg((255 - luma, 255 - blue, 255 - red, 0)))  # Pillow inverts on writing
    marker = stored.index(b"Adobe")
    assert stored[marker + 11] == 0
    stored[marker + 11] = 2  # the transform byte: the four channels are Y, Cb, Cr, K
    (tmp_path / "print.jpg").write_bytes(stored)
    np.testing.assert_allclose(read_image(tmp_path / "print.jpg")[8, 8], (200, 80, 30), atol=4)
    np.testing.assert_allclose(
        read_image(tmp_path / "print.jpg"), cv2.imread(str(tmp_path / "print.jpg"))[..., ::-1], atol=2
    )


@pytest.mark.parametrize("kind", ["png", "bmp", "webp", "gif"])
def test_the_content_counts_not_the_extension(tmp_path, kind):
    PilImage.fromarray(quadrants()).save(tmp_path / "wrong.jpg", kind, lossless=True)
    np.testing.assert_allclose(read_image(tmp_path / "wrong.jpg"), quadrants(), atol=2)


def test_the_array_is_writable_and_contiguous_after_a_turn(tmp_path):
    PilImage.fromarray(quadrants()).save(tmp_path / "a.jpg", exif=exif(6))
    picture = read_image(tmp_path / "a.jpg")
    assert picture.dtype == np.uint8
    assert picture.flags.writeable and picture.flags.c_contiguous


def test_very_wide_photos_are_read(tmp_path):
    PilImage.new("RGB", (11401, 340), RED).save(tmp_path / "panorama.jpg")
    assert read_image(tmp_path / "panorama.jpg").shape == (340, 11401, 3)


def test_300_megapixels_are_no_bomb_but_twice_as_many_are(tmp_path):
    def png_header(width: int, height: int) -> bytes:
        body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return (
            b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + b"\0\0\0\0IDAT"
        )

    (tmp_path / "large.png").write_bytes(png_header(20_000, 15_000))
    assert read_image_header(tmp_path / "large.png").displayed_size == (15_000, 20_000)
    (tmp_path / "bomb.png").write_bytes(png_header(24_000, 24_000))
    with pytest.raises(
        InstsegError,
        match=r"bomb\.png.*24000 x 24000 pixels, at most 300,000,000 are read; INSTSEG_MAX_PIXELS=576000000 ",
    ):
        read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "not an image.*<!DOCTYP"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC.*convert"),
    ],
)
def test_what_is_no_image_is_named_with_the_reason(tmp_path, content, reason):
    (tmp_path / "photo.jpg").write_bytes(content)
    for read in (read_image, read_image_header):
        with pytest.raises(InstsegError, match=rf"photo\.jpg: .*{reason}"):
            read(tmp_path / "photo.jpg")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InstsegError, match=r"gone\.jpg: no such file"):
        read_image(tmp_path / "gone.jpg")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".bmp"])
def test_half_a_file_is_named_as_damaged(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"photo{suffix}"
    PilImage.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InstsegError, match=rf"photo\{suffix}: (not an image|cannot be read as an image: .)"):
        read_image(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=150, deadline=None)
@given(data=st.data(), suffix=st.sampled_from(["png", "jpeg", "tiff", "gif", "bmp"]))
def test_a_damaged_file_gives_pixels_or_the_named_error_and_nothing_else(tmp_path_factory, data, suffix):
    file = io.BytesIO()
    PilImage.fromarray(quadrants()).save(file, suffix, exif=exif(6))
    content = bytearray(file.getvalue())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
        content[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "photo"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        assert read_image(path).shape[2] == 3
    except InstsegError as error:
        assert str(path) in str(error)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ["a10.JPG", "a2.jpg", "sub/b.Png", "notes.txt", ".hidden.jpg", ".cache/c.jpg", "scan", "IMG [1].jpg"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_a_folder_is_searched_recursively_in_natural_order(folder):
    assert names(find_images(folder), folder) == ["a2.jpg", "a10.JPG", "IMG [1].jpg", "sub/b.Png"]


def test_a_file_named_directly_needs_no_extension(folder):
    assert find_images(str(folder / "scan")) == [folder / "scan"]


def test_globs_match_files_and_folders_but_only_images(folder):
    assert names(find_images(f"{folder}/a*"), folder) == ["a2.jpg", "a10.JPG"]
    assert names(find_images(f"{folder}/**/*"), folder) == ["a2.jpg", "a10.JPG", "IMG [1].jpg", "sub/b.Png"]
    assert names(find_images(f"{folder}/s*"), folder) == ["sub/b.Png"]


def test_an_existing_name_with_brackets_is_no_pattern(folder):
    assert names(find_images(f"{folder}/IMG [1].jpg"), folder) == ["IMG [1].jpg"]


def test_a_list_keeps_its_order_and_names_each_file_once(folder):
    found = find_images([folder / "sub", folder / "a10.JPG", folder])
    assert names(found, folder) == ["sub/b.Png", "a10.JPG", "a2.jpg", "IMG [1].jpg"]


@pytest.mark.parametrize("source", ["gone.jpg", "gone/", "*.tif"])
def test_a_source_that_is_not_there_is_named(folder, source):
    with pytest.raises(InstsegError, match=re.escape(str(folder / source))):
        find_images([folder / "scan", str(folder / source)])


def test_a_source_without_images_says_what_counts_as_one(folder):
    (folder / "empty").mkdir()
    with pytest.raises(InstsegError, match=r"empty: no image found; extensions are .*\.jpg"):
        find_images(folder / "empty")
    with pytest.raises(InstsegError, match="empty list"):
        find_images([])


def test_linked_folders_are_entered_but_never_in_circles(folder):
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "linked").symlink_to(folder / "sub")
    assert {path.name for path in find_images(folder)} == {"a2.jpg", "a10.JPG", "IMG [1].jpg", "b.Png"}


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_headers_of_real_photos_agree_with_their_notes_and_pixels():
    cars = SHARED / "cars_and_signs"
    for name, note in json.loads((cars / "boxes_from_notebook.json").read_text()).items():
        header = read_image_header(cars / "images" / name)
        assert header.size == tuple(note["raw_size"][::-1])
        assert header.displayed_size == tuple(note["displayed_size"][::-1])
        assert header.orientation == (note["exif_orientation"] or 1)
