"""Images with masks: what values, colours, files and masks.json say about instances and categories."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from factories import SHARED, drawn, write_json, write_picture
from mask_pictures import VOC_PALETTE, as_drawn, numbered, write_mask
from reading import check_reading, instances, mutated_bytes, mutated_json, read_labels
from sampled import first

from instseg.core.errors import InstsegError
from instseg.data.formats.auto import recognise_format
from instseg.data.formats.mask_folder.reader import MaskFolderReader, recognise
from instseg.data.reading.labels import Labels

SIZE = (3, 6)
TWO = numbered("11..22", "11..2.", "......")
PIECES = numbered("##..##", "##....", "......")
FIRST, SECOND = ["##....", "##....", "......"], ["....##", "......", "......"]


def write(root: Path, masks: dict[str, np.ndarray], photos: str = "a", palette: list[int] | None = None) -> Path:
    """``images/<photo>.png`` of 6 x 3 pixels, and masks by their paths."""
    for photo in photos:
        write_picture(root / f"images/{photo}.png", SIZE)
    for name, values in masks.items():
        write_mask(root / name, values, palette)
    return root


def read(root: Path, **options) -> tuple[dict[str, Labels], dict[str, list[str]]]:
    return read_labels(MaskFolderReader(root, **options))


def shapes(root: Path, photo: str = "a", **options) -> list[tuple[str, list[str]]]:
    """Category and mask of each instance of an image."""
    return [(name, as_drawn(mask)) for name, mask in instances(read(root, **options)[0]["all"])[f"images/{photo}.png"]]


# ---- one mask for each image


@pytest.mark.parametrize("palette", [None, VOC_PALETTE])
def test_every_value_is_an_instance(tmp_path, palette):
    write(tmp_path, {"masks/a.png": TWO}, palette=palette)
    expected = [("object", ["##....", "##....", "......"]), ("object", ["....##", "....#.", "......"])]
    assert shapes(tmp_path) == expected
    assert [name for name, _ in shapes(tmp_path, category="cell")] == ["cell", "cell"]


def test_every_colour_is_an_instance(tmp_path):
    colours = np.array([[0, 0, 0], [255, 0, 0], [254, 0, 0]], dtype=np.uint8)
    assert len(shapes(write(tmp_path, {"masks/a.png": colours[TWO]}))) == 2


def test_the_void_border_of_an_indexed_mask_is_no_instance_and_255_of_a_gray_one_is(tmp_path):
    values = numbered("11#22#", "11#2#.", "......")
    assert len(shapes(write(tmp_path, {"masks/a.png": values}, palette=VOC_PALETTE))) == 2
    assert len(shapes(write(tmp_path, {"masks/a.png": values}))) == 3


def test_each_connected_region_of_a_black_and_white_mask_is_an_instance(tmp_path):
    write(tmp_path, {"masks/a.png": PIECES})
    assert shapes(tmp_path) == [("object", FIRST), ("object", SECOND)]
    assert read(tmp_path, category="cell")[1] == {"regions_as_instances": ["images/a.png"]}
    assert shapes(tmp_path, components=False) == [("object", ["##..##", "##....", "......"])]


def test_a_value_that_is_alone_counts_instances_only_if_other_masks_have_more(tmp_path):
    alone = np.minimum(PIECES, 1)
    assert len(shapes(write(tmp_path, {"masks/a.png": alone}))) == 2
    assert len(shapes(write(tmp_path, {"masks/a.png": alone, "masks/b.png": TWO}, "ab"))) == 1


def test_with_names_values_and_colours_are_categories(tmp_path):
    values = numbered("11..22", "11....", "3...11")
    names = {1: "car", "2": "person", 3: None}
    write(tmp_path, {"masks/a.png": values})
    assert [name for name, _ in shapes(tmp_path, names=names)] == ["car", "car", "person"]
    assert [name for name, _ in shapes(tmp_path, names=names, components=False)] == ["car", "person"]
    _, findings = read(tmp_path, names={1: "car"})
    assert findings["mask_value_unknown"] == ["a.png: value 2", "a.png: value 3"]
    write(tmp_path, {"masks/a.png": np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], dtype=np.uint8)[TWO]})
    assert [name for name, _ in shapes(tmp_path, names={"#ff0000": "car", "#0000ff": 7})] == ["7", "car"]
    with pytest.raises(InstsegError, match=r"dataset\.names: 'red' is no pixel value"):
        read(tmp_path, names={"red": "car"})


def test_an_empty_mask_is_an_empty_image_and_no_mask_is_no_label(tmp_path):
    write(tmp_path, {"masks/a.png": TWO, "masks/b.png": np.zeros(SIZE, np.uint8), "masks/z.png": TWO}, "abc")
    labels, findings = read(tmp_path, category="cell")
    assert {name: len(found) for name, found in instances(labels["all"]).items()} == {
        "images/a.png": 2,
        "images/b.png": 0,
    }
    assert findings == {"image_unlabelled": ["images/c.png"], "mask_unmatched": ["masks/z.png: no image matches it"]}


# ---- one mask for each instance


def test_where_images_have_several_masks_each_is_an_instance_however_many_pieces_it_has(tmp_path):
    masks = {"masks/a_1.png": PIECES, "masks/a_2.png": drawn(*SECOND) * 255, "masks/b_1.png": PIECES}
    write(tmp_path, masks, "ab")
    assert shapes(tmp_path) == [("object", ["##..##", "##....", "......"]), ("object", SECOND)]
    assert len(shapes(tmp_path, "b")) == 1
    assert read(tmp_path, category="cell")[1] == {}


def test_one_mask_for_each_category_holds_regions(tmp_path):
    write(tmp_path, {"masks/car/a.png": PIECES, "masks/dog/a.png": PIECES})
    assert [name for name, _ in shapes(tmp_path)] == ["car", "car", "dog", "dog"]


def test_a_pattern_with_an_instance_says_that_each_file_is_one(tmp_path):
    write(tmp_path, {"out/1 of a (dog).png": PIECES})
    pattern = r"out/(?P<instance>\d+) of (?P<stem>.+) \((?P<category>.+)\)\.png"
    assert shapes(tmp_path, pattern=pattern) == [("dog", ["##..##", "##....", "......"])]
    with pytest.raises(
        InstsegError, match=r"expected images, and masks .* found 1 image and 0 masks .* dataset\.pattern"
    ):
        read(tmp_path, pattern="(?P<stem>x)")


# ---- sizes and places


def test_masks_are_scaled_to_their_image_in_the_frame_that_they_fit(tmp_path):
    write(
        tmp_path,
        {"masks/a.png": np.kron(TWO, np.ones((4, 4), np.uint8)), "masks/b.png": np.ones((9, 60), np.uint8)},
        "ab",
    )
    write(tmp_path, {"masks/c.png": np.kron(TWO.T, np.ones((2, 2), np.uint8))})
    write_picture(tmp_path / "images/c.png", SIZE, orientation=6)
    labels, findings = read(tmp_path)
    sizes = {image["file_name"]: (image["height"], image["width"]) for image in labels["all"].coco["images"]}
    assert sizes == {"images/a.png": SIZE, "images/c.png": SIZE[::-1]}
    assert [text.split(": ")[1] for text in findings["mask_invalid"]] == ["is 60x9, its image 6x3"]


def test_splits_are_folders_of_the_images_or_of_the_masks(tmp_path):
    for split in ("train", "val"):
        write_picture(tmp_path / f"images/{split}.png", SIZE)
        write_mask(tmp_path / f"masks/{split}/{split}.png", TWO)
    assert read(tmp_path)[0].keys() == {"train", "val"}


def test_images_may_lie_elsewhere(tmp_path):
    write_picture(tmp_path / "photos/x/a.png", SIZE)
    write_mask(tmp_path / "out/binary/x/a.png", PIECES)
    labels, _ = read(tmp_path / "out/binary", image_folder="../../photos")
    assert labels["all"].image_root.resolve() == tmp_path / "photos"
    assert list(instances(labels["all"])) == ["x/a.png"]
    with pytest.raises(InstsegError, match=r"dataset\.image_folder: no such folder"):
        read(tmp_path / "out/binary", image_folder="photos")
    with pytest.raises(InstsegError, match="expected images, and masks in a folder called masks"):
        read(tmp_path / "out/binary")


def test_a_new_image_makes_the_result_stale(tmp_path):
    write(tmp_path, {"masks/a.png": TWO})
    assert {path.relative_to(tmp_path).as_posix() for path in MaskFolderReader(tmp_path).label_files()} == {
        "images",
        "masks/a.png",
    }


# ---- masks.json


def write_listed(root: Path, *more: dict, image_folder: str = "../photos") -> dict:
    write_picture(root / "photos/b/a.png", SIZE)
    write_mask(root / "masks/b/a.png", TWO, VOC_PALETTE)
    listed = [{"value": 1, "category": "car", "score": 0.9}, {"value": 2, "category": "dog", "score": 0.8}, *more]
    content = {"image_folder": image_folder, "images": {"b/a.png": {"mask": "b/a.png", "instances": listed}}}
    write_json(root / "masks/masks.json", content)
    return content


@pytest.mark.parametrize("below", ["", "masks"])
def test_masks_json_tells_the_category_of_every_value_and_where_the_images_are(tmp_path, below):
    write_listed(tmp_path)
    labels, findings = read(tmp_path / below)
    found = [(name, as_drawn(mask)) for name, mask in instances(labels["all"])["b/a.png"]]
    assert found == [("car", ["##....", "##....", "......"]), ("dog", ["....##", "....#.", "......"])]
    assert (labels["all"].image_root / "b/a.png").is_file()
    assert findings == {}
    assert recognise(tmp_path) == "masks listed in masks/masks.json"


def test_masks_json_and_masks_that_differ_are_named(tmp_path):
    content = write_listed(tmp_path, {"value": 3, "category": "cow"}, {"value": 4, "category": ""})
    content["images"]["b/a.png"]["instances"].pop(1)
    content["images"]["gone.png"] = {"mask": "b/gone.png", "instances": []}
    write_picture(tmp_path / "photos/gone.png", SIZE)
    write_json(tmp_path / "masks/masks.json", content)
    labels, findings = read(tmp_path)
    assert [name for name, _ in instances(labels["all"])["b/a.png"]] == ["car"]
    assert findings.keys() == {"mask_value_unknown", "shape_degenerate", "category_missing", "mask_invalid"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image_folder": None}, "expected 'image_folder' as str"),
        ({"image_folder": "none"}, r"no such image_folder: .*none; dataset=mask_folder dataset\.image_folder=DIR"),
        ({"images": []}, "expected 'images' as dict"),
        ({"images": {"a.png": {"instances": []}}}, "expected 'mask' as str"),
        ({"images": {"../a.png": {"mask": "a.png", "instances": []}}}, "leads out of the image folder"),
        ({"images": {"a.png": {"mask": "/etc/passwd", "instances": []}}}, "leads out of the image folder"),
        (
            {"images": {"a.png": {"mask": "a.png", "instances": [{"value": "1", "category": "x"}]}}},
            "expected 'value' as int",
        ),
    ],
)
def test_a_masks_json_that_says_something_else_is_refused(tmp_path, change, reason):
    write_json(tmp_path / "masks/masks.json", {**write_listed(tmp_path), **change})
    with pytest.raises(InstsegError, match=rf"masks\.json.*{reason}"):
        read(tmp_path)


# ---- recognising, refusing, enduring


def test_recognised_where_a_mask_has_an_image_and_not_where_other_labels_are(tmp_path):
    assert recognise(write(tmp_path / "a", {"masks/a.png": TWO})) == "images with masks in masks/"
    assert recognise(write(tmp_path / "b", {"masks/b.png": TWO})) is None
    write_json(write(tmp_path / "c", {"labels/a.png": TWO}) / "labels/panoptic.json", {})
    write_mask(write(tmp_path / "d", {"masks/a_m01yrx_00000000.png": TWO}) / "SegmentationClass/a.png", TWO)
    write_mask(write(tmp_path / "e", {"SegmentationObject/a.png": TWO}) / "SegmentationClass/a.png", TWO)
    assert [recognise(tmp_path / name) for name in ("c", "f")] == [None] * 2
    assert [recognise_format(tmp_path / name)[0] for name in ("d", "e")] == ["openimages", "voc"]


@pytest.mark.parametrize(
    ("masks", "reason"),
    [
        ({}, r"expected images, and masks .*; found 1 image and 0 masks among images/a\.png"),
        ({"masks/b.png": TWO}, r"no mask belongs to an image; masks: masks/b\.png; images: images/a\.png"),
        ({"masks/a.png": TWO * 0}, "masks of 1 image: no instance can be used$"),
        (
            {"masks/a.png": np.ones((30, 3), np.uint8)},
            r"no instance can be used; mask files cannot be used; left out: 1 .*a\.png: is 3x30, its image 6x3",
        ),
    ],
)
def test_a_folder_without_usable_masks_is_refused_with_what_was_found(tmp_path, masks, reason):
    with pytest.raises(InstsegError, match=reason):
        read(write(tmp_path, masks))


@pytest.mark.parametrize("seed", first(30, range(80)))
def test_damaged_files_give_labels_findings_or_our_error(tmp_path, seed):
    rng = random.Random(seed)
    write(
        tmp_path,
        {"masks/a.png": TWO, "masks/b.png": PIECES, "masks/dog/c_1.png": TWO},
        "abc",
        rng.choice([None, VOC_PALETTE]),
    )
    if seed % 2:
        write_json(tmp_path / "masks/masks.json", mutated_json(write_listed(tmp_path), rng))
    for file in rng.sample(sorted(tmp_path.rglob("*.*")), 2):
        file.write_bytes(mutated_bytes(file.read_bytes(), rng))
    recognise(tmp_path)
    check_reading(lambda: MaskFolderReader(tmp_path, names=rng.choice([None, {1: "car"}])))


@pytest.mark.skipif(not (SHARED / "voc_instance_png").is_dir(), reason="needs the shared photos")
def test_a_real_indexed_mask(tmp_path):
    for folder in ("JPEGImages", "SegmentationObject"):
        (tmp_path / folder).symlink_to(SHARED / "voc_instance_png" / folder)
    labels, findings = read(tmp_path, category="thing")
    areas = [
        sum(row.count("#") for row in as_drawn(mask))
        for _, mask in instances(labels["all"])["JPEGImages/2007_000063.jpg"]
    ]
    assert areas == [27632, 78930]
    assert findings == {"image_unlabelled": ["JPEGImages/2011_003353.jpg"]}
