"""Instance masks of VOC folders: which object is which value, and what is done where there is no xml or no instance."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from factories import SHARED, drawn, write_picture
from mask_pictures import VOC_PALETTE, as_bitmask, as_drawn, shown_where, write_mask
from PIL import Image as PilImage
from reading import check_reading, instances, mutated_bytes, read_labels
from sampled import first
from voc_files import MASKS, SIZE, write_voc, write_xml

from instseg.core.errors import InstsegError
from instseg.core.masks import bitmask_to_rle
from instseg.data.formats.voc.masks import match_masks
from instseg.data.formats.voc.reader import VocReader, recognise
from instseg.data.reading.labels import Labels


def read(root: Path, **options) -> tuple[dict[str, Labels], dict[str, list[str]]]:
    return read_labels(VocReader(root, **options))


# ---- with xml


def test_masks_and_lists_in_another_spelling_than_the_xml_are_used(tmp_path):
    write_voc(tmp_path, "a", "caf\u00e9", "IMG_1", masks=MASKS)
    folder = tmp_path / "SegmentationObject"
    (folder / "caf\u00e9.png").rename(folder / "cafe\u0301.png")
    (folder / "IMG_1.png").rename(folder / "img_1.png")
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a\ncafe\u0301\nimg_1\n")
    labels, findings = read(tmp_path)
    found = instances(labels["train"])
    assert len(found) == 3 and len({str(masks) for masks in found.values()}) == 1 and findings == {}


def test_masks_without_xml_in_another_spelling_than_those_of_classes_are_used(tmp_path):
    write_picture(tmp_path / "JPEGImages/a.png", SIZE)
    write_mask(tmp_path / "SegmentationObject/a.png", MASKS, VOC_PALETTE)
    write_mask(tmp_path / "SegmentationClass/A.png", MASKS, VOC_PALETTE)
    labels, _ = read(tmp_path)
    assert [name for name, _ in instances(labels["all"])["JPEGImages/a.png"]] == ["aeroplane", "bicycle"]


def test_value_k_is_object_k_and_the_void_border_is_nothing(tmp_path):
    labels, findings = read(write_voc(tmp_path, "a", masks=MASKS))
    found = [(name, as_drawn(mask)) for name, mask in instances(labels["all"])["JPEGImages/a.png"]]
    assert found == [("car", shown_where(MASKS == 1)), ("dog", shown_where(MASKS == 2))]
    assert findings == {}


def test_masks_in_another_order_or_number_than_the_objects_are_matched_by_their_place(tmp_path):
    masks = np.choose(np.minimum(MASKS, 3), [0, 5, 1, 255]).astype(np.uint8)
    masks[5, 0] = 9
    labels, findings = read(write_voc(tmp_path, "a", masks=masks))
    found = {name: as_drawn(mask) for name, mask in instances(labels["all"])["JPEGImages/a.png"]}
    assert found == {"car": shown_where(MASKS == 1), "dog": shown_where(MASKS == 2)}
    assert findings == {"mask_unmatched": ["SegmentationObject/a.png: value 9 is not an object of its xml"]}


def test_of_two_masks_that_fit_two_boxes_alike_the_order_decides():
    rles = {1: bitmask_to_rle(drawn("###.", "###.")), 2: bitmask_to_rle(drawn("....", ".###"))}
    boxes = [np.array([0.0, 0, 4, 2]), np.array([0.0, 0, 4, 2])]
    assert match_masks(rles, boxes) == {1: 0, 2: 1}


def test_an_object_without_a_mask_keeps_its_box(tmp_path):
    write_voc(tmp_path, "a", "b", masks=np.where(MASKS == 2, 0, MASKS).astype(np.uint8))
    (tmp_path / "SegmentationObject/b.png").write_bytes(b"broken")
    labels, findings = read(tmp_path)
    has_mask = {photo: [isinstance(s, dict) for _, s in found] for photo, found in instances(labels["all"]).items()}
    assert has_mask == {"JPEGImages/a.png": [True, False], "JPEGImages/b.png": [False, False]}
    assert list(findings) == ["mask_invalid"]


def test_a_mask_of_half_the_size_is_scaled_and_one_of_another_shape_is_not_used(tmp_path):
    write_voc(tmp_path, "a", "b", masks=MASKS[::2, ::2])
    write_mask(tmp_path / "SegmentationObject/b.png", np.ones((40, 20), dtype=np.uint8), VOC_PALETTE)
    labels, findings = read(tmp_path)
    found = instances(labels["all"])
    assert found["JPEGImages/a.png"][0][1]["size"] == list(SIZE)
    assert found["JPEGImages/b.png"][0] == ("car", [1.0, 1.0, 3.0, 2.0])
    assert [text.split("/")[-1] for text in findings["mask_invalid"]] == ["b.png: is 20x40, its image 8x6"]


def test_masks_of_categories_alone_are_named_and_the_boxes_used(tmp_path):
    write_voc(tmp_path, "a")
    write_mask(tmp_path / "SegmentationClass/a.png", MASKS, VOC_PALETTE)
    labels, findings = read(tmp_path)
    boxes = [("car", [1.0, 1.0, 3.0, 2.0]), ("dog", [5.0, 2.0, 3.0, 4.0])]
    assert instances(labels["all"])["JPEGImages/a.png"] == boxes
    assert findings == {"mask_semantic": ["JPEGImages/a.png"]}
    (tmp_path / "Annotations/a.xml").unlink()
    with pytest.raises(InstsegError, match=r"SegmentationClass has categories, not instances.*dataset=mask_folder"):
        read(tmp_path)


# ---- without xml


def write_exported(root: Path, instance_mask: np.ndarray, class_mask: np.ndarray, palette: list[int] | None) -> Path:
    write_picture(root / "JPEGImages/a.png", SIZE)
    write_mask(root / "SegmentationObject/a.png", instance_mask, palette)
    write_mask(root / "SegmentationClass/a.png", class_mask, palette)
    return root


def test_cvat_paints_instances_and_categories_whose_colours_labelmap_names(tmp_path):
    colours = np.array([[0, 0, 0], [250, 50, 83], [51, 221, 255], [9, 9, 9]], dtype=np.uint8)
    classes = np.where(MASKS == 1, 3, np.where(MASKS == 2, 1, 0))
    write_exported(tmp_path, colours[np.where(MASKS == 255, 0, MASKS)], colours[classes], None)
    labelmap = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nbus:250,50,83::\nmy car:9,9,9::\n"
    (tmp_path / "labelmap.txt").write_text(labelmap)
    labels, findings = read(tmp_path)
    found = {name: as_drawn(mask) for name, mask in instances(labels["all"])["JPEGImages/a.png"]}
    assert found == {"my car": shown_where(MASKS == 1), "bus": shown_where(MASKS == 2)}
    assert findings == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("__ignore__\n_background_\nbolt\nnut\n", ["bolt", "nut"]), (None, ["aeroplane", "bicycle"])],
)
def test_labelmes_converter_numbers_categories_that_class_names_lists(tmp_path, text, expected):
    write_exported(tmp_path, MASKS, MASKS, VOC_PALETTE)
    if text is not None:
        (tmp_path / "class_names.txt").write_text(text)
    assert [name for name, _ in instances(read(tmp_path)[0]["all"])["JPEGImages/a.png"]] == expected


def test_an_instance_whose_category_has_no_name_and_one_without_any_category(tmp_path):
    write_exported(tmp_path, MASKS, np.where(MASKS == 2, 77, MASKS).astype(np.uint8), VOC_PALETTE)
    write_mask(tmp_path / "SegmentationObject/b.png", MASKS, VOC_PALETTE)
    labels, findings = read(tmp_path)
    assert [name for name, _ in instances(labels["all"])["JPEGImages/a.png"]] == ["aeroplane"]
    assert findings.keys() == {"mask_value_unknown", "mask_unmatched"}


# ---- recognising, refusing, enduring


def test_recognised_by_xml_with_boxes_or_by_both_kinds_of_masks(tmp_path):
    assert recognise(write_voc(tmp_path / "a", "x")) == "VOC xml in Annotations/"
    assert recognise(write_exported(tmp_path / "b", MASKS, MASKS, None)) == "VOC instance masks in SegmentationObject/"
    write_xml(tmp_path / "c/x.xml")
    assert recognise(tmp_path / "c") == "VOC xml in the folder itself"
    (tmp_path / "d").mkdir()
    (tmp_path / "d/annotations.xml").write_text("<annotations><image name='a.png'/></annotations>")  # CVAT's own
    for other in (tmp_path / "d", tmp_path / "c/x.xml", tmp_path / "none"):
        assert recognise(other) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an xml file"),
        (b"<annotation><object></annotation>", "not an xml file"),
        (b"<annotations/>", "expected <annotation>, found <annotations>"),
        (b"<?xml version='1.0' encoding='klingon'?><annotation/>", "not an xml file"),
        (b"<!DOCTYPE a [<!ENTITY b 'ccc'>]><annotation>&b;</annotation>", "a document type .* is not allowed"),
        ("<?xml version='1.0' encoding='utf-16'?><!DOCTYPE a><annotation/>".encode("utf-16"), "a document type"),
    ],
)
def test_an_xml_that_is_no_label_is_left_out_and_refused_where_it_is_the_only_one(tmp_path, content, reason):
    write_voc(tmp_path, "a", "b")
    (tmp_path / "Annotations/b.xml").write_bytes(content)
    labels, findings = read(tmp_path)
    assert list(instances(labels["all"])) == ["JPEGImages/a.png"]
    assert findings.keys() == {"label_invalid", "image_unlabelled"}
    (tmp_path / "Annotations/a.xml").unlink()
    with pytest.raises(InstsegError, match=rf"none of 1 xml can be read.*b\.xml: {reason}"):
        read(tmp_path)


def test_a_folder_without_labels_or_objects_is_refused(tmp_path):
    with pytest.raises(InstsegError, match="the folder is empty"):
        read(tmp_path)
    write_picture(tmp_path / "a.png", SIZE)
    with pytest.raises(InstsegError, match=r"expected VOC xml .*, found a\.png"):
        read(tmp_path)
    write_xml(tmp_path / "a.xml")
    with pytest.raises(InstsegError, match="1 labelled image: no instance can be used"):
        read(tmp_path)


@pytest.mark.parametrize("seed", first(30, range(80)))
def test_damaged_files_give_labels_findings_or_our_error(tmp_path, seed):
    rng = random.Random(seed)
    write_voc(tmp_path, "a", "b", masks=MASKS)
    write_exported(tmp_path, MASKS, MASKS, VOC_PALETTE)
    (tmp_path / "Annotations/b.xml").unlink()
    lists = tmp_path / "ImageSets/Segmentation/train.txt"
    lists.parent.mkdir(parents=True)
    lists.write_text("a\n")
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\ncat:1,2,3::\n")
    files = [*tmp_path.rglob("*.xml"), *tmp_path.rglob("*.txt"), *tmp_path.rglob("Segmentation*/*.png")]
    for file in rng.sample(sorted(files), 2):
        file.write_bytes(mutated_bytes(file.read_bytes(), rng))
    recognise(tmp_path)
    check_reading(lambda: VocReader(tmp_path))


# ---- real data


@pytest.mark.skipif(not (SHARED / "voc_instance_png").is_dir(), reason="needs the shared photos")
def test_real_voc_masks_and_an_image_that_has_boxes_only():
    root = SHARED / "voc_instance_png"
    labels, findings = read(root)
    found = instances(labels["all"])
    (dog, dog_mask), (chair, chair_mask) = found["JPEGImages/2007_000063.jpg"]
    assert (dog, chair) == ("dog", "chair")
    truth = np.array(PilImage.open(root / "SegmentationObject/2007_000063.png"))
    for mask, value in ((dog_mask, 1), (chair_mask, 2)):
        assert np.array_equal(as_bitmask(mask), truth == value)
    assert found["JPEGImages/2011_003353.jpg"] == [("person", [129.0, 44.70000076293945, 246.0, 425.29999923706055])]
    assert findings == {}
    assert recognise(root) == "VOC xml in Annotations/"


@pytest.mark.skipif(not (SHARED / "openimages_voc_xml").is_dir(), reason="needs the shared photos")
def test_a_real_xml_of_the_openimages_downloader():
    labels, findings = read(SHARED / "openimages_voc_xml")
    assert instances(labels["all"]) == {"beeeab1b6768f8fc.png": [("Hammer", [184.0, 80.0, 697.0, 229.0])]}
    assert findings == {"image_unlabelled": ["converted_beeeab1b6768f8fc.jpg"]}
