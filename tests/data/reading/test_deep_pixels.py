"""Images of 12 and 16 bits, of more bands and pages: what a person means by them, told where something is left out."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PilImage

from instseg.core.errors import InstsegError
from instseg.data.reading.findings import Findings
from instseg.data.reading.frames import ListedImage, read_headers
from instseg.data.reading.image_kinds import note_kind, range_used
from instseg.data.reading.images import read_image

COLOUR, INFRARED = (200, 100, 50), 64


def write_tiff(path: Path, pixels: np.ndarray, photometric: int = 2, extra: list[int] | None = None) -> Path:
    """An uncompressed TIFF of (H, W, bands), with what ExtraSamples says about the bands behind the colours."""
    height, width, bands = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    values = [
        (256, [width]),
        (257, [height]),
        (258, [pixels.dtype.itemsize * 8] * bands),
        (259, [1]),
        (262, [photometric]),
    ]
    values += [(273, [8]), (277, [bands]), (278, [height]), (279, [len(data)]), (284, [1])]
    values += [(338, extra)] if extra else []
    tags, more = b"", b""
    for tag, numbers in values:
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        if len(packed) > 4:
            more, packed = more + packed, struct.pack("<I", 8 + len(data) + len(more))
        tags += struct.pack("<HHI", tag, 4, len(numbers)) + packed
    start = struct.pack("<2sHI", b"II", 42, 8 + len(data) + len(more))
    path.write_bytes(start + data + more + struct.pack("<H", len(values)) + tags + bytes(4))
    return path


def colours(*bands: int, factor: int = 1, dtype: type = np.uint8) -> np.ndarray:
    return np.full((4, 6, len(bands)), bands, dtype) * dtype(factor)


def pixel(path: Path) -> list[int]:
    image = read_image(path)
    assert image.shape == (4, 6, 3) and (image == image[0, 0]).all()
    return image[0, 0].tolist()


@pytest.mark.parametrize("extra", [[0], [1], [2], None], ids=["unspecified", "premultiplied", "opacity", "not said"])
def test_a_fourth_band_that_is_neither_opaque_nor_transparent_is_no_opacity(tmp_path, extra):
    assert pixel(write_tiff(tmp_path / "a.tif", colours(*COLOUR, INFRARED), extra=extra)) == list(COLOUR)


def test_opacity_of_a_tiff_is_laid_on_white(tmp_path):
    pixels = colours(*COLOUR, 255)
    pixels[:2, ..., 3] = 0
    image = read_image(write_tiff(tmp_path / "a.tif", pixels, extra=[2]))
    assert image[0, 0].tolist() == [255, 255, 255] and image[-1, -1].tolist() == list(COLOUR)


@pytest.mark.parametrize(("factor", "top"), [(1, 255), (4, 1023), (16, 4095), (60, 16383), (257, 65535)])
@pytest.mark.parametrize("bands", [COLOUR, (*COLOUR, INFRARED)])
def test_16_bits_are_scaled_by_the_range_that_they_use(tmp_path, factor, top, bands):
    pixels = colours(*bands, factor=factor, dtype=np.uint16)
    expected = [round(value * factor * 255 / top) for value in COLOUR]
    assert pixel(write_tiff(tmp_path / "a.tif", pixels, extra=[0] if len(bands) > 3 else None)) == expected
    cv2.imwrite(str(tmp_path / "a.png"), pixels[..., 2::-1])
    assert pixel(tmp_path / "a.png") == expected
    PilImage.fromarray(pixels[..., 0]).save(tmp_path / "gray.png")
    assert pixel(tmp_path / "gray.png") == expected[:1] * 3


def test_a_given_range_becomes_black_to_white_whatever_an_image_uses(tmp_path):
    values = np.array([[0, 100, 1000, 2000, 3900, 4095, 60000]], np.uint16).repeat(4, axis=0)
    PilImage.fromarray(values).save(tmp_path / "gray.png")
    shown = read_image(tmp_path / "gray.png", value_range=(100, 3900))
    assert shown[0, :, 0].tolist() == [0, 0, 60, 128, 255, 255, 255]
    eight = write_tiff(tmp_path / "a.tif", colours(*COLOUR))
    np.testing.assert_array_equal(read_image(eight, value_range=(0, 4095)), read_image(eight))


@pytest.mark.parametrize("rotate", [True, False])
def test_deep_images_are_turned_as_others(tmp_path, rotate):
    pixels = np.arange(4 * 6 * 3, dtype=np.uint16).reshape(4, 6, 3) * 800
    exif = PilImage.Exif()
    exif[0x0112] = 6
    PilImage.fromarray(pixels[..., 0]).save(tmp_path / "a.png", exif=exif)
    turned = np.rot90(pixels[..., 0], -1) if rotate else pixels[..., 0]
    np.testing.assert_allclose(read_image(tmp_path / "a.png", rotate)[..., 0], turned / 257, atol=1)


@pytest.mark.parametrize("bands", [2, 4, 8])
def test_bands_of_which_nothing_says_the_colours_are_refused_with_a_sentence(tmp_path, bands):
    write_tiff(tmp_path / "a.tif", colours(*range(bands)), photometric=1, extra=[0] * (bands - 1))
    with pytest.raises(InstsegError, match=rf"has {bands} bands, .*write these three as an RGB file"):
        read_image(tmp_path / "a.tif")


def test_bands_pages_and_ranges_are_named_when_a_dataset_is_read(tmp_path):
    write_tiff(tmp_path / "a.tif", colours(*COLOUR, INFRARED, factor=16, dtype=np.uint16), extra=[0])
    page = PilImage.fromarray(colours(*COLOUR))
    page.save(tmp_path / "b.tif", save_all=True, append_images=[page, page])
    page.save(tmp_path / "c.png")
    findings = Findings()
    images = listed(tmp_path, "a.tif", "b.tif", "c.png")
    for image in images:
        note_kind(image, findings)
    assert range_used({"train": images}, {"train": findings}) == (0, 4095)
    assert findings.names == {
        "image_bands": ["a.tif (4 bands)"],
        "image_value_range": ["a.tif (values up to 3,200; 0 to 4,095 become black to white)"],
        "image_pages": ["b.tif (3 pages)"],
    }


def listed(folder: Path, *names: str) -> list[ListedImage]:
    return read_headers([{"id": number, "file_name": name} for number, name in enumerate(names)], folder)


@pytest.mark.parametrize(
    ("tops", "high"), [((900, 1000), 1023), ((40, 16000), 16383), ((200,), 255), ((1, 65535), 65535)]
)
def test_one_range_holds_for_all_images_of_16_bits_and_those_that_use_fewer_are_named(tmp_path, tops, high):
    for top in tops:
        PilImage.fromarray(np.full((4, 6), top, np.uint16)).save(tmp_path / f"{top}.png")
    PilImage.new("L", (6, 4), 255).save(tmp_path / "eight bits.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / f"{tops[0]}.png").read_bytes()[:50])
    images = listed(tmp_path, "eight bits.png", "cut.png", *(f"{top}.png" for top in tops))
    findings = {"train": Findings(), "val": Findings()}
    assert range_used({"train": images[:3], "val": images[3:]}, findings) == (0, high)
    found = [name for split in findings.values() for name in split.names["image_value_range"]]
    assert found == [
        f"{top}.png (values up to {top:,}; 0 to {high:,} become black to white)" for top in tops if top < 32768
    ]


@pytest.mark.parametrize("names", [[], ["eight.png"], ["black.png"]])
def test_without_values_of_16_bits_there_is_no_range(tmp_path, names):
    PilImage.new("L", (6, 4), 255).save(tmp_path / "eight.png")
    PilImage.fromarray(np.zeros((4, 6), np.uint16)).save(tmp_path / "black.png")
    assert range_used({"train": listed(tmp_path, *names)}, {"train": Findings()}) is None
