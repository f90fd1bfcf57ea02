"""Pairing of masks with images in the layouts that people have, given as lists of names without any file."""

from __future__ import annotations

import pytest

from instseg.core.errors import InstsegError
from instseg.data.formats.mask_folder.pairing import (
    Pairing,
    compile_pattern,
    divide_files,
    pair_by_name,
    pair_by_pattern,
)


def pairs(*names: str) -> dict[str, tuple[str, str | None] | None]:
    """Mask -> its image and category."""
    photos, masks = divide_files(names)
    found = {mask: Pairing(photos).pair(mask) for mask in masks}
    return {mask: None if pair is None else (pair.image, pair.category) for mask, pair in found.items()}


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("images/a.jpg", "masks/a.png"),
        ("imgs/a.jpg", "labels/a.png"),
        ("JPEGImages/a.jpg", "SegmentationObject/a.png"),
        ("photos/a.JPG", "annotations/a.JPG.png"),
        ("data/a.jpg", "labels/a.png"),  # FiftyOne
        ("images/train/a.jpg", "masks/train/a.png"),
        ("train/images/a.jpg", "train/masks/a.png"),
        ("images/valid/a.jpg", "masks/val/a.png"),
        ("train/a.jpg", "train_masks/a_mask.gif"),  # Carvana
        ("images/cam1/day/a.jpg", "masks/cam1/day/a.png"),
        ("images/cam1/a.jpg", "masks/a.png"),
        ("images/a.jpg", "masks/train/a.png"),
        ("images/a.jpg", "masks/a_1.png"),
        ("images/a.jpg", "masks/a-mask-12.png"),
        ("images/a.jpg", "masks/a/1.png"),
        ("images/a.jpg", "masks/a/instance_1.png"),
        ("train/x1/images/x1.png", "train/x1/masks/0adbf56cd1.png"),  # nuclei of the Data Science Bowl 2018
        ("benign/benign (1).png", "benign/benign (1)_mask_1.png"),  # breast ultrasound images
    ],
)
def test_layouts_in_which_a_mask_has_the_name_of_its_image_and_no_category(photo, mask):
    assert pairs(photo, mask) == {mask: (photo, None)}


@pytest.mark.parametrize(
    ("mask", "category"),
    [
        ("masks/car/a.png", "car"),
        ("masks/car/a_3.png", "car"),
        ("masks/car/a/3.png", "car"),
        ("masks/train/traffic light/a_3.png", "traffic light"),
        ("masks/a/car_3.png", "car"),
        ("masks/a/car.png", "car"),
        ("masks/a_traffic-light_3.png", "traffic-light"),
        ("masks/a_3_car.png", "car"),
        ("masks/a_mask_car_3.png", "car"),
        ("masks/a_object_3.png", None),
        ("masks/a/0adbf56cd182.png", None),
    ],
)
def test_a_category_is_the_name_of_a_folder_or_the_letters_behind_the_images_name(mask, category):
    photo = "images/train/a.jpg" if "train" in mask else "images/a.jpg"
    assert pairs(photo, mask) == {mask: (photo, category)}


def test_the_longest_image_name_that_fits_is_meant():
    found = pairs("images/a.jpg", "images/a_1.jpg", "masks/a_1.png", "masks/a_1_2.png", "masks/a_2.png")
    assert {mask: pair[0] for mask, pair in found.items()} == {
        "masks/a_1.png": "images/a_1.jpg",
        "masks/a_1_2.png": "images/a_1.jpg",
        "masks/a_2.png": "images/a.jpg",
    }


def test_images_of_the_same_name_are_told_apart_by_their_folders():
    found = pairs("train/images/a.jpg", "val/images/a.jpg", "train/masks/a.png", "val/masks/a.png", "masks/a.png")
    assert found == {
        "train/masks/a.png": ("train/images/a.jpg", None),
        "val/masks/a.png": ("val/images/a.jpg", None),
        "masks/a.png": None,
    }


def test_an_image_may_be_called_mask():
    assert pairs("images/face_mask.jpg", "masks/face_mask.png") == {
        "masks/face_mask.png": ("images/face_mask.jpg", None)
    }


def test_where_a_folder_is_called_images_pictures_elsewhere_are_no_images():
    assert divide_files(["images/a.jpg", "masks/a.png", "overlays/a.jpg"]) == (["images/a.jpg"], ["masks/a.png"])


# ---- patterns


def test_a_pattern_names_image_and_category():
    names = ["in/a.jpg", "in/sub/b.jpg", "out/car-a-1.png", "out/dog-sub/b-2.png", "out/car-c-1.png", "out/notes.png"]
    pattern = compile_pattern(r"out/(?P<category>[a-z]+)-(?P<stem>.+)-(?P<instance>\d+)\.png")
    photos = [name.removeprefix("in/") for name in names[:2]]
    found, alone = pair_by_pattern(names, photos, pattern)
    assert [(pair.name, pair.image, pair.category) for pair in found] == [
        ("out/car-a-1.png", "a.jpg", "car"),
        ("out/dog-sub/b-2.png", "sub/b.jpg", "dog"),
    ]
    assert alone == ["out/car-c-1.png"]


@pytest.mark.parametrize(
    ("pattern", "reason"), [("(", "not a regular expression"), (r"\d+", r"expected a group .*\(\?P<stem>…\)")]
)
def test_a_pattern_that_cannot_be_used_is_refused(pattern, reason):
    with pytest.raises(InstsegError, match=reason):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("PNGImages/FudanPed00001.png", "PedMasks/FudanPed00001_mask.png"),
        ("imagesTr/case_7_0000.png", "labelsTr/case_7.png"),
        ("train/a.png", "train_GT/a.png"),
        ("x/images/x.png", "x/masks/0f1e.png"),
        ("img/a.png", "bitmasks/a.png"),
    ],
)
def test_folders_whose_names_end_in_a_word_for_masks_hold_masks(photo, mask):
    photos, masks = divide_files([photo, mask])
    assert (photos, masks) == ([photo], [mask])
    found = Pairing(photos).pair(mask)
    assert found is not None and found.image == photo


def test_a_mask_in_another_spelling_belongs_to_the_image_that_has_none_else():
    images = ["images/caf\u00e9.jpg", "images/IMG_1.jpg", "images/my photo.jpg", "images/B.jpg", "images/x.jpg"]
    masks = [*("masks/cafe\u0301.png", "masks/img_1_Car_2.png", "masks/my%20photo.png"), "masks/B.png", "masks/b.png"]
    pairs, alone = pair_by_name(masks, images)
    assert [(one.name, one.image) for one in pairs] == list(zip(masks[:4], images[:4], strict=True))
    assert pairs[1].category == "Car" and alone == ["masks/b.png"]  # B.jpg has its own


def test_a_mask_that_two_images_in_other_spellings_may_mean_belongs_to_none():
    assert pair_by_name(["masks/Img.png"], ["images/IMG.jpg", "images/img.jpg"]) == ([], ["masks/Img.png"])
