"""The memory-mapped index: what goes in comes out, what cannot be used is counted and named."""

from __future__ import annotations

import mmap
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import (
    CATEGORY_IDS,
    NAMES,
    SHARED,
    coco_annotation,
    coco_dict,
    coco_image,
    drawn,
    rectangle,
    star,
    tiny_categories,
    uncompressed,
    write_picture,
)
from pycocotools.coco import COCO

from instseg.core.categories import Categories
from instseg.core.masks import bitmask_to_rle, rle_area, rle_to_bitmask
from instseg.core.records import RecordError
from instseg.core.types import CocoDict
from instseg.data.formats.coco.layout import AnnotatedFolder
from instseg.data.formats.coco.reader import load_coco
from instseg.data.index import writer as index_writer
from instseg.data.index.build import write_index
from instseg.data.index.columns import Index
from instseg.data.reading import frames
from instseg.data.reading.findings import Findings
from instseg.data.reading.findings_file import read_findings, write_findings
from instseg.data.reading.frames import decide_frames, read_headers
from instseg.data.reading.images import read_image
from instseg.data.reading.label_rules import COCO_RULES, LabelRules
from instseg.data.reading.labels import without_dangling

SIZE = (24, 32)
SQUARE = rectangle(2.5, 2, 9, 9)


def build(
    tmp_path: Path, coco: CocoDict, categories: Categories | None = None, rules: LabelRules = COCO_RULES
) -> tuple[Index, dict[str, list[str]]]:
    """Index a dictionary whose images lie in ``tmp_path``; also the findings."""
    findings = Findings()
    coco = without_dangling(coco, findings)
    images = read_headers(coco["images"], tmp_path)
    folder = tmp_path / f"index{len(list(tmp_path.glob('index*')))}"
    write_index(coco, images, tmp_path, categories or tiny_categories(), folder, decide_frames(images), findings, rules)
    return Index(folder), dict(findings.names)


def one_photo(
    tmp_path: Path, *annotations: dict[str, Any], rules: LabelRules = COCO_RULES
) -> tuple[Index, dict[str, list[str]]]:
    write_picture(tmp_path / "a.png", SIZE)
    return build(tmp_path, coco_dict([coco_image(7, "a.png", SIZE)], list(annotations)), rules=rules)


# ---- what goes in comes out


def test_polygons_come_back_to_the_last_digit(tmp_path):
    parts = [star(15.123456789, 12, 9), SQUARE]
    index, findings = one_photo(tmp_path, coco_annotation(1, 7, "dog", parts))
    instances = index.instances(0)
    assert [part.tolist() for part in instances.polygons[0]] == [part.tolist() for part in parts]
    assert instances.rles == [None]
    assert instances.labels.tolist() == [2]
    assert findings == {}


def test_bitmaps_come_back_as_they_are(tmp_path):
    ring = np.zeros(SIZE, dtype=np.uint8)
    ring[4:12, 4:12] = 1
    ring[6:9, 6:9] = 0
    index, _ = one_photo(
        tmp_path,
        coco_annotation(1, 7, "cake", bitmask_to_rle(ring)),
        coco_annotation(2, 7, "cake", uncompressed(ring)),
    )
    for rle in (*index.instances(0).rles, *index.ground_truth(0).rles):
        assert np.array_equal(rle_to_bitmask(rle), ring)
    assert index.ground_truth(0).boxes.tolist() == [[4, 4, 12, 12]] * 2
    assert index.ground_truth(0).areas.tolist() == [55, 55]


def test_crowds_are_ground_truth_and_regions_to_ignore_in_training(tmp_path):
    crowd = np.zeros(SIZE, dtype=np.uint8)
    crowd[10:20] = 1
    index, _ = one_photo(
        tmp_path,
        coco_annotation(1, 7, "dog", uncompressed(crowd), iscrowd=1),
        coco_annotation(2, 7, "car", SQUARE),
    )
    assert index.instances(0).labels.tolist() == [0, 1]
    assert rle_area(index.instances(0).rles[0]) == crowd.sum()
    truth = index.ground_truth(0)
    assert truth.labels.tolist() == [2, 1]
    assert truth.iscrowd.tolist() == [True, False]
    assert rle_area(truth.rles[0]) == 320
    assert index.num_instances == 1
    assert index.instances_per_category().tolist() == [1, 0, 0]


def test_empty_images_keep_the_full_schema(tmp_path):
    index, _ = one_photo(tmp_path)
    truth = index.ground_truth(0)
    assert truth.boxes.shape == (0, 4)
    assert (truth.labels.shape, truth.areas.shape, truth.iscrowd.shape, truth.rles) == ((0,), (0,), (0,), [])
    assert len(index.instances(0)) == 0
    assert index.instances_per_image().tolist() == [0]
    assert (truth.image_id, truth.image_size) == (7, SIZE)


def test_annotated_boxes_and_areas_are_kept_as_annotated(tmp_path):
    index, _ = one_photo(tmp_path, coco_annotation(1, 7, "car", SQUARE, bbox=[2, 2, 7.5, 7], area=33.5))
    truth = index.ground_truth(0)
    assert truth.boxes.tolist() == [[2, 2, 9.5, 9]]
    assert truth.areas.tolist() == [33.5]


@pytest.mark.parametrize(
    "useless",
    [{}, {"bbox": [0, 0, 0, 0], "area": 0}, {"bbox": [], "area": None}, {"bbox": [5, 5, -3, -3], "area": "large"}],
    ids=["none", "zeros", "null", "negative"],
)
def test_missing_boxes_and_areas_are_measured_on_the_shape(tmp_path, useless):
    index, _ = one_photo(tmp_path, coco_annotation(1, 7, "car", SQUARE, **useless))
    truth = index.ground_truth(0)
    assert truth.boxes.tolist() == [[2.5, 2, 9, 9]]
    assert truth.areas.tolist() == [45.5]


def test_labels_follow_the_given_order_of_names_not_the_ids(tmp_path):
    write_picture(tmp_path / "a.png", SIZE)
    annotations = [coco_annotation(i, 7, name, SQUARE) for i, name in enumerate(NAMES)]
    coco = coco_dict([coco_image(7, "a.png")], annotations)
    index, _ = build(tmp_path, coco, Categories(("cake", "car")))
    assert index.instances(0).labels.tolist() == [2, 1], "car, cake; the dog was not asked for"


def test_category_ids_may_start_from_zero(tmp_path):
    write_picture(tmp_path / "a.png", SIZE)
    coco = coco_dict([coco_image(0, "a.png")], [coco_annotation(0, 0, 0, SQUARE)], {"car": 0, "dog": 1})
    index, _ = build(tmp_path, coco, Categories(("car", "dog")))
    assert index.instances(0).labels.tolist() == [1]


def test_names_of_images_may_hold_any_letters(tmp_path):
    name = "Fotoß 图像/ä b.png"
    write_picture(tmp_path / name, SIZE)
    index, _ = build(tmp_path, coco_dict([coco_image(1, name)], []))
    assert index.file_name(0) == name
    assert index.path(0).is_file()


# ---- the columns


def three_photos(tmp_path: Path) -> Index:
    """Nothing in the first, a car and a crowd in the second, a dog and two cars in the third."""
    for name in "abc":
        write_picture(tmp_path / f"{name}.png", SIZE)
    annotations = [
        coco_annotation(1, 2, "car", SQUARE),
        coco_annotation(2, 3, "dog", SQUARE),
        coco_annotation(3, 2, "dog", SQUARE, iscrowd=1),
        coco_annotation(4, 3, "car", [SQUARE, star(20, 15, 5)]),
        coco_annotation(5, 3, "car", bitmask_to_rle(np.ones(SIZE))),
    ]
    images = [coco_image(i, f"{name}.png", SIZE) for i, name in enumerate("abc", 1)]
    return build(tmp_path, coco_dict(images, annotations))[0]


def test_counts_leave_crowds_out(tmp_path):
    index = three_photos(tmp_path)
    assert len(index) == 3
    assert index.num_instances == 4
    assert index.instances_per_image().tolist() == [0, 1, 3]
    assert index.instances_per_category().tolist() == [3, 1, 0]


def test_an_image_is_found_by_its_id(tmp_path):
    index = three_photos(tmp_path)
    assert [index.index_of(index.image_id(i)) for i in range(3)] == [0, 1, 2]


def test_the_first_images_with_instances_are_an_index_of_their_own(tmp_path):
    index = three_photos(tmp_path)
    few = index.first_with_instances(5)
    assert [few.file_name(i) for i in range(len(few))] == ["b.png", "c.png"]
    assert few.index_of(3) == 1
    assert few.num_instances == 4


def test_a_single_image_for_learning_by_heart_shows_the_rarest_category(tmp_path):
    index = three_photos(tmp_path)
    assert index.first_with_instances(1).file_name(0) == "c.png", "the only one with a dog"


def test_a_smaller_fraction_of_the_images_lies_in_a_larger_one(tmp_path):
    index = three_photos(tmp_path)
    third, two_thirds, all_ = (index.fraction(fraction, seed=1) for fraction in (0.1, 0.7, 1.0))
    assert [len(part) for part in (third, two_thirds, all_)] == [1, 2, 3], "one image at least"
    assert set(third.rows) < set(two_thirds.rows) < set(all_.rows)


@pytest.mark.parametrize("rows", [None, np.array([2, 0])])
def test_a_pickled_index_maps_the_same_files(tmp_path, rows):
    three_photos(tmp_path)
    index = Index(tmp_path / "index0", rows)
    pickled = pickle.dumps(index)
    assert len(pickled) < 1000, "the columns are not copied"
    again = pickle.loads(pickled)
    assert again.categories == index.categories
    assert [again.file_name(i) for i in range(len(again))] == [index.file_name(i) for i in range(len(index))]
    for i in range(len(index)):
        assert again.ground_truth(i).rles == index.ground_truth(i).rles


def test_the_columns_are_mapped_not_read(tmp_path):
    index = three_photos(tmp_path)
    for name, column in index._columns.items():
        base = column
        while isinstance(base, np.ndarray):
            base = base.base
        assert isinstance(base, memoryview) and isinstance(base.obj, mmap.mmap), name
        assert not column.flags.writeable


@pytest.mark.parametrize("rows_in_memory", [1, 2, 3, 5])
def test_the_columns_are_the_same_however_many_rows_are_written_at_a_time(tmp_path, monkeypatch, rows_in_memory):
    at_once = three_photos(tmp_path)
    monkeypatch.setattr(index_writer, "ROWS_IN_MEMORY", rows_in_memory)
    in_pieces = three_photos(tmp_path)
    assert at_once.folder != in_pieces.folder
    for path in at_once.folder.iterdir():
        assert path.read_bytes() == (in_pieces.folder / path.name).read_bytes(), path.name


def test_an_index_whose_making_failed_is_not_taken_for_one(tmp_path):
    with pytest.raises(ZeroDivisionError), index_writer.IndexWriter(tmp_path / "i", tmp_path, tiny_categories()):
        _ = 1 / 0
    with pytest.raises(RecordError, match=r"meta\.json: expected a file, found none"):
        Index(tmp_path / "i")


def test_what_is_read_can_be_changed_without_changing_the_index(tmp_path):
    index = three_photos(tmp_path)
    index.instances(1).polygons[0][0][:] = 0
    index.ground_truth(1).boxes[:] = 0
    assert index.instances(1).polygons[0][0].tolist() == SQUARE.tolist()
    assert index.ground_truth(1).boxes[0].tolist() == [2.5, 2, 9, 9]


# ---- findings: images


def test_missing_unreadable_and_resized_images_are_left_out_and_named(tmp_path):
    write_picture(tmp_path / "good.png", SIZE)
    write_picture(tmp_path / "resized.png", (48, 64))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    names = ["good.png", "gone.png", "broken.png", "resized.png"]
    images = [coco_image(i, name, SIZE) for i, name in enumerate(names)]
    index, findings = build(tmp_path, coco_dict(images, [coco_annotation(i, i, "car", SQUARE) for i in range(4)]))
    assert [index.file_name(i) for i in range(len(index))] == ["good.png"]
    assert index.num_instances == 1
    assert findings["image_missing"] == ["gone.png"]
    assert findings["image_size_differs"] == ["resized.png (labels 32x24, file 64x48)"]
    assert "broken.png: not an image" in findings["image_unreadable"][0]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_photo_cut_short_is_found_although_its_header_is_good(tmp_path, suffix, monkeypatch):
    whole, cut, long = (write_picture(tmp_path / f"{name}{suffix}", (200, 200)) for name in ("whole", "cut", "long"))
    cut.write_bytes(cut.read_bytes()[:-200])
    long.write_bytes(long.read_bytes() + bytes(4000))  # a camera's own data behind the end: whole, but not seen at once
    decoded = []

    def decode(path):
        decoded.append(path)
        return read_image(path)

    monkeypatch.setattr(frames, "read_image", decode)
    images = [coco_image(i, path.name) for i, path in enumerate((whole, cut, long))]
    index, findings = build(tmp_path, coco_dict(images, []))
    assert [index.file_name(i) for i in range(len(index))] == [whole.name, long.name]
    assert f"cut{suffix}: cannot be read as an image: " in findings["image_unreadable"][0]
    suspected = [cut, long] if suffix == ".jpg" else [cut]  # the checksums of a PNG tell where it ends
    assert sorted(decoded) == suspected, "nothing is decoded without a suspicion"


def test_a_png_damaged_in_its_middle_is_found_by_its_checksums(tmp_path):
    whole, damaged = (write_picture(tmp_path / f"{name}.png", (200, 200)) for name in ("whole", "damaged"))
    data = bytearray(damaged.read_bytes())
    data[1000:1100] = bytes(100)
    damaged.write_bytes(data)
    index, findings = build(tmp_path, coco_dict([coco_image(i, p.name) for i, p in enumerate((whole, damaged))], []))
    assert [index.file_name(i) for i in range(len(index))] == ["whole.png"]
    assert "damaged.png: cannot be read as an image: " in findings["image_unreadable"][0]


def test_without_a_size_in_the_labels_that_of_the_file_counts(tmp_path):
    write_picture(tmp_path / "a.png", SIZE)
    index, findings = build(tmp_path, coco_dict([coco_image(1, "a.png")], []))
    assert index.image_size(0) == SIZE
    assert findings == {}


def test_annotations_of_unlisted_images_and_categories_are_named(tmp_path):
    index, findings = one_photo(
        tmp_path,
        coco_annotation(1, 99, "car", SQUARE),
        coco_annotation(2, 7, 1000, SQUARE),
        coco_annotation(3, 7, "car", SQUARE),
    )
    assert index.num_instances == 1
    assert findings == {
        "image_unknown": ["annotation 1 (image 99)"],
        "category_unknown": ["annotation 2 (category 1000)"],
    }


# ---- findings: in which frame was the photo labelled?


def turned(tmp_path: Path, *labelled: tuple[str, tuple[int, int], tuple[int, int] | None]):
    """Photos stored as (height, width) with orientation 6 (a quarter turn), and the size that their labels declare."""
    images = []
    for i, (name, stored, declared) in enumerate(labelled):
        write_picture(tmp_path / name, stored, orientation=6)
        images.append(coco_image(i, name, declared))
    return build(tmp_path, coco_dict(images, []))


def test_labels_of_the_upright_photo_are_told_by_its_size(tmp_path):
    index, findings = turned(tmp_path, ("a.jpg", (24, 32), (32, 24)))
    assert index.rotate(0)
    assert index.image_size(0) == (32, 24)
    assert findings == {"exif_applied": ["a.jpg"]}


def test_labels_of_the_photo_as_stored_are_told_by_its_size(tmp_path):
    index, findings = turned(tmp_path, ("a.jpg", (24, 32), (24, 32)))
    assert not index.rotate(0)
    assert index.image_size(0) == (24, 32)
    assert findings == {"ignores_exif": ["a.jpg"]}


def test_square_photos_alone_are_taken_as_a_person_sees_them(tmp_path):
    index, findings = turned(tmp_path, ("a.jpg", (24, 24), (24, 24)), ("b.jpg", (24, 32), None))
    assert index.rotate(0)
    assert index.rotate(1)
    assert index.image_size(1) == (32, 24)
    assert findings == {"exif_applied": ["a.jpg", "b.jpg"], "exif_undecided": ["a.jpg", "b.jpg"]}


@pytest.mark.parametrize("upright", [True, False])
def test_square_photos_follow_what_the_others_show(tmp_path, upright):
    declared = (32, 24) if upright else (24, 32)
    index, findings = turned(tmp_path, ("a.jpg", (24, 24), (24, 24)), ("b.jpg", (24, 32), declared))
    assert [index.rotate(0), index.rotate(1)] == [upright, upright]
    assert findings.get("ignores_exif", []) == ([] if upright else ["a.jpg", "b.jpg"])


def test_the_majority_decides_for_square_photos_and_each_other_photo_for_itself(tmp_path):
    index, _ = turned(
        tmp_path,
        ("square.jpg", (24, 24), (24, 24)),
        ("1.jpg", (24, 32), (24, 32)),
        ("2.jpg", (24, 32), (24, 32)),
        ("3.jpg", (24, 32), (32, 24)),
    )
    assert [index.rotate(i) for i in range(4)] == [False, False, False, True]


# ---- findings: shapes


def test_a_box_without_a_mask_becomes_a_rectangle(tmp_path):
    index, findings = one_photo(
        tmp_path,
        coco_annotation(1, 7, "car", [], bbox=[3, 4, 10, 6]),
        coco_annotation(2, 7, "car", None, bbox=[3.5, 4, 10, 6]),
        coco_annotation(3, 7, "car", [[]], bbox=[-4, -2, 10, 6]),
    )
    truth = index.ground_truth(0)
    assert truth.boxes.tolist() == [[3, 4, 13, 10], [3.5, 4, 13.5, 10], [0, 0, 6, 4]]
    assert rle_area(truth.rles[0]) == 60
    assert len(findings["box_only"]) == 3
    assert truth.is_box_only is None and not truth.iscrowd.any()


BOX_AND_MASK = (
    coco_annotation(1, 7, "car", [], bbox=[3, 4, 10, 6]),
    coco_annotation(2, 7, "dog", [rectangle(2, 2, 12, 12)]),
    coco_annotation(3, 7, "dog", [], bbox=[1, 1, 4, 4], iscrowd=1),
)


def test_a_box_may_teach_no_mask_and_is_then_a_crowd_to_mask_ap_alone(tmp_path):
    index, findings = one_photo(tmp_path, *BOX_AND_MASK, rules=LabelRules(box_only="boxes"))
    assert index.instances(0).labels.tolist() == [-1, 2, 0]
    truth = index.ground_truth(0)
    assert truth.labels.tolist() == [1, 2, 2]
    assert truth.iscrowd.tolist() == [True, False, True]
    assert truth.is_box_only is not None and truth.is_box_only.tolist() == [True, False, False]
    assert index.num_instances == 2
    assert len(findings["box_taught"]) == 1 and "box_only" not in findings


def test_a_box_may_be_a_region_to_ignore(tmp_path):
    index, findings = one_photo(tmp_path, *BOX_AND_MASK, rules=LabelRules(box_only="ignore"))
    assert index.instances(0).labels.tolist() == [0, 2, 0]
    assert index.ground_truth(0).iscrowd.tolist() == [True, False, True] and index.num_instances == 1
    assert len(findings["box_ignored"]) == 1


@pytest.mark.parametrize(
    ("segmentation", "why"),
    [
        ([[1, 1, 5, 5]], "fewer than three points"),
        ([[1, 1, 5, 5, 9]], "pairs of x, y below"),
        ([[1, 1, 5, 5, float("nan"), 3]], "pairs of x, y below"),
        ([["a", 1, 5, 5, 1, 3]], "flat list of numbers"),
        ({"size": [32, 24], "counts": [768]}, "RLE is of size"),
        ({"size": [32, 25], "counts": [800]}, "RLE of size"),
        ({"size": [24, 32], "counts": "zzz"}, "expected compressed RLE"),
        ({"counts": [1]}, "must be polygons or an RLE"),
        ("polygon", "must be polygons or an RLE"),
        ([], "neither segmentation nor bbox"),
    ],
)
def test_an_instance_without_a_usable_shape_is_left_out_and_named_with_the_reason(tmp_path, segmentation, why):
    good = coco_annotation(2, 7, "car", SQUARE)
    index, findings = one_photo(tmp_path, coco_annotation(1, 7, "car", segmentation), good)
    assert index.num_instances == 1
    assert len(findings["shape_invalid"]) == 1
    assert findings["shape_invalid"][0].startswith("annotation 1 of a.png: ")
    assert why in findings["shape_invalid"][0]


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 1, 5, 5, 9, 9]],
        [[4, 4, 4, 4, 4, 4]],
        rectangle(40, 3, 60, 9),
        rectangle(-9, 3, 0, 9),
        bitmask_to_rle(np.zeros(SIZE)),
    ],
    ids=["a line", "a point", "outside", "touches from outside", "empty bitmap"],
)
def test_an_instance_without_area_inside_the_image_is_left_out_and_named(tmp_path, segmentation):
    index, findings = one_photo(tmp_path, coco_annotation(1, 7, "car", segmentation))
    assert index.num_instances == 0
    assert findings == {"shape_degenerate": ["annotation 1 of a.png"]}


def test_a_broken_part_is_dropped_and_the_rest_of_the_instance_used(tmp_path):
    index, findings = one_photo(tmp_path, coco_annotation(1, 7, "car", [[1, 1, 2, 2], SQUARE.reshape(-1).tolist()]))
    assert len(index.instances(0).polygons[0]) == 1
    assert findings == {"part_degenerate": ["annotation 1 of a.png"]}


def test_a_one_pixel_bitmap_is_an_instance(tmp_path):
    pixel = np.zeros(SIZE, dtype=np.uint8)
    pixel[5, 6] = 1
    index, findings = one_photo(tmp_path, coco_annotation(1, 7, "car", bitmask_to_rle(pixel)))
    assert index.ground_truth(0).boxes.tolist() == [[6, 5, 7, 6]]
    assert findings == {}


def test_a_shape_that_reaches_out_of_the_image_stays_whole_in_training_and_is_cut_in_the_truth(tmp_path):
    index, _ = one_photo(tmp_path, coco_annotation(1, 7, "car", rectangle(-5, -5, 10, 10), bbox=[-5, -5, 15, 15]))
    assert index.instances(0).polygons[0][0].min() == -5
    assert index.ground_truth(0).boxes.tolist() == [[0, 0, 10, 10]]
    assert rle_area(index.ground_truth(0).rles[0]) == 100


def test_findings_can_be_pickled_written_and_read(tmp_path):
    findings = Findings()
    for i in range(5):
        findings.add("image_missing", f"{i}.png")
    write_findings(tmp_path / "f.json", {"train": findings})
    assert read_findings(tmp_path / "f.json") == {"train": findings} == {"train": pickle.loads(pickle.dumps(findings))}


# ---- real labels


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared photos")
@pytest.mark.parametrize("split", ["train", "val"])
def test_the_truth_of_real_labels_is_that_of_pycocotools(tmp_path, split):
    where = SHARED / f"coco_tiny/annotations/instances_{split}2017.json"
    labels = load_coco(AnnotatedFolder(where, split), Findings())
    loaded, root = labels.coco, labels.image_root
    names = tuple(category["name"] for category in loaded["categories"])
    findings = Findings()
    images = read_headers(loaded["images"], root)
    write_index(loaded, images, root, Categories(names), tmp_path / "i", decide_frames(images), findings)
    index, reference = Index(tmp_path / "i"), COCO(where)
    assert findings.names == {}
    for i in range(len(index)):
        truth = index.ground_truth(i)
        annotations = reference.imgToAnns[truth.image_id]
        assert len(annotations) == len(truth)
        for n, annotation in enumerate(annotations):
            expected = reference.annToRLE(annotation)
            assert truth.rles[n]["counts"] == expected["counts"]
            assert truth.areas[n] == annotation["area"]
            assert names[truth.labels[n] - 1] == reference.cats[annotation["category_id"]]["name"]
            assert truth.iscrowd[n] == annotation["iscrowd"]
            x, y, width, height = annotation["bbox"]
            assert truth.boxes[n] == pytest.approx([x, y, x + width, y + height], abs=0.5)


def test_masks_drawn_by_hand_survive_the_whole_way(tmp_path):
    bitmask = drawn("##..", "#..#", "...#")
    write_picture(tmp_path / "a.png", bitmask.shape)
    coco = coco_dict([coco_image(1, "a.png", bitmask.shape)], [coco_annotation(1, 1, "dog", uncompressed(bitmask))])
    index, _ = build(tmp_path, coco)
    assert np.array_equal(rle_to_bitmask(index.ground_truth(0).rles[0]), bitmask)
    assert index.ground_truth(0).labels.tolist() == [NAMES.index("dog") + 1]
    assert CATEGORY_IDS["dog"] == 18
