"""VOC folders: xml of several tools, where images are found, what becomes of objects, how folders are split."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import write_picture
from reading import instances, read_labels
from voc_files import CAR, DOG, MASKS, SIZE, VOC_SOURCE, write_voc, write_xml

from instseg.core.errors import InstsegError
from instseg.data.formats.voc.reader import VocReader
from instseg.data.reading.labels import Labels


def read(root: Path, **options) -> tuple[dict[str, Labels], dict[str, list[str]]]:
    return read_labels(VocReader(root, **options))


# ---- boxes


def test_boxes_of_a_tool_that_draws_between_the_pixels(tmp_path):
    labels, findings = read(write_voc(tmp_path, "a"))
    expected = [("car", [1.0, 1.0, 3.0, 2.0]), ("dog", [5.0, 2.0, 3.0, 4.0])]
    assert instances(labels["all"]) == {"JPEGImages/a.png": expected}
    assert labels["all"].coco["images"][0] == {"id": 1, "file_name": "JPEGImages/a.png", "height": 6, "width": 8}
    assert findings == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (VOC_SOURCE, [0.0, 0.0, 4.0, 3.0]),  # 1 is the first pixel, and the last one belongs to it
        ("<source><annotation>PASCAL VOC2011</annotation></source>", [0.0, 0.0, 4.0, 3.0]),
        ("<source><database>OpenImages</database></source>", [1.0, 1.0, 4.0, 3.0]),  # 0 is the first pixel
        ("<source><database>Unknown</database></source>", [1.0, 1.0, 3.0, 2.0]),
    ],
)
def test_what_a_corner_means_depends_on_the_tool(tmp_path, source, expected):
    write_picture(tmp_path / "a.png", SIZE)
    write_xml(tmp_path / "a.xml", CAR, more=source)
    assert instances(read(tmp_path)[0]["all"]) == {"a.png": [("car", expected)]}


def test_corners_are_found_by_their_tags_and_swapped_ones_put_right(tmp_path):
    write_picture(tmp_path / "a.png", SIZE)
    box = "<bndbox><xmin>6</xmin><xmax>2.5</xmax><ymin>1</ymin><ymax>5</ymax></bndbox>"
    (tmp_path / "a.xml").write_text(
        f"<annotation><object><bndbox/><name> car </name></object><object><name>car</name>{box}</object></annotation>"
    )
    labels, findings = read(tmp_path)
    assert instances(labels["all"]) == {"a.png": [("car", [2.5, 1.0, 3.5, 4.0])]}
    assert findings == {"shape_invalid": ["object 1 of a.png: no <bndbox> of four numbers"]}


def test_a_polygon_comes_before_its_box(tmp_path):
    polygon = "<polygon><x1>1</x1><y1>1</y1><x2>4.5</x2><y2>1</y2><x3>4</x3><y3>3</y3></polygon>"
    short = "<polygon><x1>1</x1><y1>1</y1><x2>4</x2><y2>1</y2></polygon>"
    write_picture(tmp_path / "a.png", SIZE)
    write_xml(tmp_path / "a.xml", (*CAR, polygon), (*DOG, short))
    expected = [("car", [[1.0, 1.0, 4.5, 1.0, 4.0, 3.0]]), ("dog", [5.0, 2.0, 3.0, 4.0])]
    assert instances(read(tmp_path)[0]["all"]) == {"a.png": expected}


def test_difficult_objects_are_like_others_or_a_crowd(tmp_path):
    write_picture(tmp_path / "a.png", SIZE)
    write_xml(tmp_path / "a.xml", (*CAR, "<difficult>1</difficult>"), (*DOG, "<difficult>0</difficult>"))
    for option, expected in (("keep", [0, 0]), ("crowd", [1, 0])):
        labels, _ = read(tmp_path, difficult=option)
        assert [one["iscrowd"] for one in labels["all"].coco["annotations"]] == expected
    with pytest.raises(InstsegError, match=r"dataset\.difficult=drop: expected one of keep, crowd"):
        VocReader(tmp_path, difficult="drop")


@pytest.mark.parametrize("number", ["nan", "inf", "1e300", "", "twelve", "1,5"])
def test_a_box_without_four_numbers_is_left_out(tmp_path, number):
    write_voc(tmp_path, "a")
    write_xml(tmp_path / "Annotations/a.xml", ("car", (1, number, 4, 3)), DOG, ("", (1, 1, 2, 2)))
    labels, findings = read(tmp_path)
    assert [i[0] for i in instances(labels["all"])["JPEGImages/a.png"]] == ["dog"]
    assert findings.keys() == {"shape_invalid", "category_missing"}


def test_an_image_without_objects_is_kept_and_one_without_xml_is_not(tmp_path):
    write_voc(tmp_path, "a", "b")
    write_xml(tmp_path / "Annotations/b.xml")
    write_picture(tmp_path / "JPEGImages/c.png", SIZE)
    labels, findings = read(tmp_path)
    assert instances(labels["all"])["JPEGImages/b.png"] == []
    assert findings == {"image_unlabelled": ["JPEGImages/c.png"]}


# ---- images


def test_a_renamed_xml_means_the_image_of_its_own_name(tmp_path):
    write_voc(tmp_path, "a", "b")
    write_xml(tmp_path / "Annotations/b.xml", CAR, name="a.png")
    labels, findings = read(tmp_path)
    assert len(instances(labels["all"])["JPEGImages/b.png"]) == 1
    assert findings == {"image_own_name": ["Annotations/b.xml (names a.png)"]}


def test_folders_and_extension_of_another_machine_do_not_matter(tmp_path):
    write_picture(tmp_path / "photos/a.PNG", SIZE)
    write_xml(tmp_path / "labels/1.xml", CAR, name=r"D:\work\photos\a.jpg")
    assert list(instances(read(tmp_path)[0]["all"])) == ["photos/a.PNG"]


def test_an_image_of_another_split_is_never_taken_for_a_missing_one(tmp_path):
    write_voc(tmp_path / "train", "a")
    write_xml(tmp_path / "val/Annotations/a.xml", DOG)
    labels, _ = read(tmp_path)
    assert {split: list(instances(part)) for split, part in labels.items()} == {
        "train": ["train/JPEGImages/a.png"],
        "val": ["val/JPEGImages/a.png"],
    }


@pytest.mark.parametrize("size", [None, ("x", 3)])
def test_a_missing_image_and_a_missing_size_are_left_to_be_reported(tmp_path, size):
    write_xml(tmp_path / "Annotations/a.xml", CAR, name="../../etc/passwd", size=size)
    assert read(tmp_path)[0]["all"].coco["images"] == [{"id": 1, "file_name": "JPEGImages/passwd"}]


def test_one_xml_for_each_class_each_with_its_own_copy_of_the_image(tmp_path):
    """As the openimages downloader writes them."""
    for name, box in (CAR, DOG):
        write_picture(tmp_path / name / "images/f00.png", SIZE)
        write_xml(tmp_path / name / "pascal/f00.xml", (name, box))
    write_picture(tmp_path / "dog/images/f01.png", SIZE, seed=1)
    write_picture(tmp_path / "car/images/f01.png", SIZE, seed=2)  # another photo of the same name
    write_xml(tmp_path / "dog/pascal/f01.xml", DOG)
    write_xml(tmp_path / "car/pascal/f01.xml", CAR)
    labels, findings = read(tmp_path)
    found = {photo: [i[0] for i in entries] for photo, entries in instances(labels["all"]).items()}
    expected = {"car/images/f00.png": ["car", "dog"], "car/images/f01.png": ["car"], "dog/images/f01.png": ["dog"]}
    assert (found, findings) == (expected, {})


def test_an_object_that_two_xml_of_an_image_list_counts_once(tmp_path):
    write_picture(tmp_path / "a.png", SIZE)
    write_xml(tmp_path / "1/a.xml", CAR, DOG)
    write_xml(tmp_path / "2/a.xml", DOG)
    labels, findings = read(tmp_path)
    assert [i[0] for i in instances(labels["all"])["a.png"]] == ["car", "dog"]
    assert findings == {"shape_repeated": ["1 in 2/a.xml, also in 1/a.xml"]}


# ---- splits


def test_the_lists_of_imagesets_decide_and_images_in_none_are_left_out(tmp_path):
    write_voc(tmp_path, *"abcd")
    for name, text in {
        "train": "a\n",
        "val": "b 1\n\n",
        "trainval": "a\nb\n",
        "car_train": "c 1\n",
        "Test": "d.png\nb\n",
    }.items():
        path = tmp_path / f"ImageSets/Main/{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    labels, findings = read(tmp_path)
    photos = {split: [Path(name).stem for name in instances(part)] for split, part in labels.items()}
    assert photos == {"train": ["a"], "test": ["b", "d"]}
    assert findings == {"image_unlisted": ["JPEGImages/c.png"], "split_ambiguous": ["JPEGImages/b.png (val, test)"]}


def test_lists_that_name_no_image_are_refused(tmp_path):
    (write_voc(tmp_path, "a") / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("b\n")
    with pytest.raises(
        InstsegError, match=r"lists of splits \(ImageSets/Main/train\.txt\) name none .*JPEGImages/a\.png"
    ):
        read(tmp_path)


@pytest.mark.parametrize(("masks", "expected"), [(MASKS, "a"), (None, "b")])
def test_the_lists_of_the_segmentation_task_go_with_masks(tmp_path, masks, expected):
    write_voc(tmp_path / "VOC2012", "a", "b", masks=masks)
    for task, name in (("Segmentation", "a"), ("Main", "b")):
        path = tmp_path / f"VOC2012/ImageSets/{task}/train.txt"
        path.parent.mkdir(parents=True)
        path.write_text(name)
    assert list(instances(read(tmp_path)[0]["train"])) == [f"VOC2012/JPEGImages/{expected}.png"]


def test_without_lists_the_folders_decide(tmp_path):
    write_voc(tmp_path / "train", "a")
    write_voc(tmp_path / "valid", "a")
    labels, _ = read(tmp_path)
    assert {split: list(instances(part)) for split, part in labels.items()} == {
        "train": ["train/JPEGImages/a.png"],
        "val": ["valid/JPEGImages/a.png"],
    }
    write_voc(tmp_path, "b")
    with pytest.raises(InstsegError, match="some images lie in folders named train and val, 1 do not"):
        read(tmp_path)
