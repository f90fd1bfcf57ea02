"""Photos that show the same picture are found, whatever was done to the file; others never are."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from factories import SHARED, make_picture, write_picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage
from PIL import ImageEnhance
from sampled import first

from instseg.data.splits import near_duplicates as similar
from instseg.data.splits.near_duplicates import (
    MAX_DISTANCE,
    file_digests,
    group_similar,
    perceptual_hashes,
    similar_groups,
)


def photo(seed: int = 0, image_size=(240, 320)) -> PilImage.Image:
    """Coarse and fine structure, as photos have."""
    coarse = make_picture(image_size, seed).astype(int)
    fine = np.array(PilImage.fromarray(make_picture((24, 32), seed + 1000)).resize(image_size[::-1])).astype(int)
    speckle = np.random.default_rng(seed).normal(0, 40, (30, 40, 3))
    speckle = np.array([np.kron(speckle[..., c], np.ones((8, 8))) for c in range(3)]).transpose(1, 2, 0)
    return PilImage.fromarray((coarse * 0.4 + fine * 0.3 + 60 + speckle).clip(0, 255).astype(np.uint8))


def save(picture: PilImage.Image, path: Path, **options) -> Path:
    picture.save(path, **options)
    return path


def cropped(picture: PilImage.Image, share: float) -> PilImage.Image:
    x, y = round(share * picture.width), round(share * picture.height)
    return picture.crop((x, y, picture.width - x, picture.height - y))


def stamped(picture: PilImage.Image) -> PilImage.Image:
    picture.paste((255, 255, 0), (250, 220, 310, 232))
    return picture


CHANGES = {
    "half the size": lambda p, path: save(p.resize((160, 120)), path, quality=90),
    "strongly compressed": lambda p, path: save(p, path, quality=40),
    "as PNG": lambda p, path: save(p, path.with_suffix(".png")),
    "lighter": lambda p, path: save(ImageEnhance.Brightness(p).enhance(1.1), path),
    "darker": lambda p, path: save(ImageEnhance.Brightness(p).enhance(0.9), path),
    "gray": lambda p, path: save(p.convert("L"), path),
    "with alpha": lambda p, path: save(p.convert("RGBA"), path.with_suffix(".png")),
    "cut by 1 % at each side": lambda p, path: save(cropped(p, 0.01), path),
    "with a date stamp": lambda p, path: save(stamped(p), path),
    "squeezed": lambda p, path: save(p.resize((200, 240)), path),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_like_its_photo(tmp_path, change):
    original = save(photo(), tmp_path / "a.jpg", quality=95)
    copy = CHANGES[change](photo(), tmp_path / "b.jpg")
    assert similar_groups(perceptual_hashes([original, copy])).tolist() == [0, 0]


def test_different_photos_are_not_alike(tmp_path):
    paths = [save(photo(seed), tmp_path / f"{seed}.jpg") for seed in range(40)]
    assert similar_groups(perceptual_hashes(paths)).tolist() == list(range(40))


def test_a_photo_turned_by_exif_is_like_one_whose_pixels_are_turned(tmp_path):
    exif = PilImage.Exif()
    exif[0x0112] = 6  # shown turned by a quarter clockwise
    tagged = save(photo(), tmp_path / "tagged.jpg", exif=exif)
    turned = save(photo().transpose(PilImage.Transpose.ROTATE_270), tmp_path / "turned.jpg")
    untagged = save(photo(), tmp_path / "untagged.jpg")
    assert similar_groups(perceptual_hashes([tagged, turned, untagged])).tolist() == [0, 0, 2]


def flat(gray: int, noise: float, seed: int) -> PilImage.Image:
    pixels = np.random.default_rng(seed).normal(gray, noise, (240, 320))
    return PilImage.fromarray(pixels.clip(0, 255).astype(np.uint8))


def test_pictures_without_detail_are_like_their_byte_copies_only(tmp_path):
    black = save(flat(0, 0, 0), tmp_path / "black.png")
    paths = [
        black,
        save(flat(0, 0, 0), tmp_path / "black.jpg"),
        Path(shutil.copy(black, tmp_path / "copy.png")),
        *(save(flat(3, 2, seed), tmp_path / f"night_{seed}.jpg") for seed in range(5)),
        *(save(flat(250, 0, seed), tmp_path / f"white_{seed}.jpg", quality=90 + seed) for seed in range(5)),
    ]
    assert similar_groups(perceptual_hashes(paths)).tolist() == [0, 1, 0, *range(3, 13)]


def test_a_small_mark_on_a_flat_picture_is_no_detail(tmp_path):
    paths = []
    for frame in range(4):
        picture = flat(0, 0, 0)
        picture.paste(255, (4, 4, 24, 12))  # the camera's name, and a clock
        picture.paste(200, (290, 4, 294 + frame, 10))
        paths.append(save(picture, tmp_path / f"{frame}.png"))
    assert similar_groups(perceptual_hashes(paths)).tolist() == [0, 1, 2, 3]


def test_files_that_cannot_be_read_are_like_nothing_but_their_byte_copies(tmp_path):
    text, empty, cut = tmp_path / "text.jpg", tmp_path / "empty.png", tmp_path / "cut.jpg"
    text.write_text("no picture")
    empty.touch()
    whole = save(photo(), tmp_path / "whole.jpg").read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    missing = [tmp_path / "missing_1.jpg", tmp_path / "missing\0.jpg", tmp_path / "\ud800.jpg", tmp_path]
    paths = [text, empty, cut, tmp_path / "whole.jpg", *missing, Path(shutil.copy(text, tmp_path / "copy.jpg"))]
    assert similar_groups(perceptual_hashes(paths)).tolist() == [*range(8), 0]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_exif_block_does_no_harm(tmp_path):
    good = save(photo(), tmp_path / "good.jpg")
    bad = save(photo(), tmp_path / "bad.jpg", exif=b"Exif\0\0MM\0*\0\0\xff\xff\xff\xff")
    assert similar_groups(perceptual_hashes([good, bad])).tolist() == [0, 0]


def test_digests_are_equal_for_equal_bytes_only(tmp_path):
    a = write_picture(tmp_path / "a.png", (20, 30))
    same = Path(shutil.copy(a, tmp_path / "same.png"))
    other = write_picture(tmp_path / "other.png", (20, 30), seed=1)
    digests = file_digests([a, same, other, tmp_path / "missing_1", tmp_path / "missing_2"])
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_groups_by_name_hold_the_photos_that_are_not_alone(tmp_path):
    for name, seed in {"a.jpg": 0, "b.jpg": 1, "sub/c.jpg": 0}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        photo(seed).save(tmp_path / name)
    assert group_similar(["b.jpg", "a.jpg", "sub/c.jpg", "gone.jpg"], tmp_path) == {
        "a.jpg": "a.jpg",
        "sub/c.jpg": "a.jpg",
    }


def hashes_of(bits) -> np.ndarray:
    return np.packbits(np.asarray(bits, dtype=np.uint8).reshape(-1, 256), axis=1).view(np.uint64)


def changed(bits: np.ndarray, num_bits: int, rng: np.random.Generator) -> np.ndarray:
    copy = bits.copy()
    copy[rng.choice(256, num_bits, replace=False)] ^= 1
    return copy


def groups_by_comparing_all(hashes: np.ndarray, max_distance: int) -> list[int]:
    near = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2) <= max_distance
    groups = np.arange(len(hashes))
    for _ in hashes:
        groups = np.where(near, groups[None], len(hashes)).min(axis=1, initial=len(hashes))
    return groups.tolist()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 30), st.sampled_from([0, 1, 15, 16, 40]))
def test_the_groups_are_those_that_comparing_all_with_all_finds(seed, num_hashes, max_distance):
    rng = np.random.default_rng(seed)
    bits = [rng.integers(0, 2, 256)]
    while len(bits) <= num_hashes:  # chains and clusters whose steps are about the distance
        bits.append(changed(bits[rng.integers(len(bits))], min(256, max(0, max_distance + rng.integers(-2, 3))), rng))
    hashes = hashes_of(bits[:num_hashes])
    for few in (0, similar.FEW):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(similar, "FEW", few)
            assert similar_groups(hashes, max_distance).tolist() == groups_by_comparing_all(hashes, max_distance)


@pytest.mark.parametrize("few", [0, similar.FEW])
def test_the_distance_itself_still_counts_wherever_the_bits_are(few, monkeypatch):
    monkeypatch.setattr(similar, "FEW", few)
    rng = np.random.default_rng(0)
    ones = rng.integers(0, 2, (500, 256))
    for num_bits, found in ((MAX_DISTANCE, 500), (MAX_DISTANCE + 1, 0)):
        groups = similar_groups(hashes_of([*ones, *(changed(one, num_bits, rng) for one in ones)]))
        assert (groups[500:] == np.arange(500)).sum() == found
        assert (groups[:500] == np.arange(500)).all()


def test_a_long_film_of_one_scene_is_one_group_and_compared_in_small_portions(monkeypatch):
    monkeypatch.setattr(similar, "MAX_PAIRS", 50)
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 2, (2, 256))
    film = hashes_of([changed(scenes[i % 2], 8, rng) for i in range(3000)])
    assert similar_groups(film).tolist() == [0, 1] * 1500


@pytest.mark.skipif(not SHARED.is_dir(), reason="real photos are not here")
@pytest.mark.parametrize(
    ("folder", "num_copies"),
    first(
        2,
        [
            ("labelme_traffic_signs", 5),
            ("labelme_v2_no_version", 0),
            ("coco128", 0),
            ("coco_tiny", 0),
            ("cars_and_signs", 0),
        ],
    ),
)
def test_real_photos_have_the_copies_they_are_said_to_have(folder, num_copies):
    paths = sorted(p for p in (SHARED / folder).rglob("*") if p.suffix.lower() == ".jpg")
    groups = similar_groups(perceptual_hashes(paths))
    copies = [(paths[i].name, paths[group].name) for i, group in enumerate(groups) if i != group]
    assert len(copies) == num_copies
    assert all(later == f"Copy of {first}" for later, first in copies)
