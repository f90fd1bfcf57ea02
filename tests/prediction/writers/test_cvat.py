"""CVAT's XML: masks as runs along the rows of their box."""

import xml.etree.ElementTree as ET

from export_factories import PIXEL, RING, TWO_PARTS, export, predicted

from instseg.prediction.writers.cvat import Cvat


def written(folder, predictions):
    return ET.parse(export(Cvat, folder, predictions).path / "annotations.xml").getroot()


def test_a_mask_is_its_box_and_its_runs_row_by_row_beginning_outside(tmp_path):
    root = written(tmp_path, {"a.jpg": predicted(RING)})
    (mask,) = root.iter("mask")
    assert {key: mask.get(key) for key in ("left", "top", "width", "height")} == {
        "left": "1", "top": "1", "width": "4", "height": "3",
    }  # fmt: skip
    assert mask.get("rle") == "0, 5, 2, 5"  # ####, #..#, ####
    assert mask.find("attribute").text == "0.900000"


def test_an_instance_in_two_parts_is_one_mask_with_what_lies_between(tmp_path):
    (mask,) = written(tmp_path, {"a.jpg": predicted(TWO_PARTS)}).iter("mask")
    assert mask.get("rle") == "6, 2, 6, 2, 16, 2, 6, 2, 6"


def test_images_have_their_path_and_the_best_instance_lies_on_top(tmp_path):
    root = written(tmp_path, {"more/a.jpg": predicted(RING, PIXEL), "empty.jpg": predicted(image_id=2)})
    images = root.findall("image")
    assert [(image.get("id"), image.get("name"), image.get("width")) for image in images] == [
        ("0", "more/a.jpg", "8"),
        ("1", "empty.jpg", "8"),
    ]
    assert [mask.get("label") for mask in images[0]] == ["traffic sign", "car"]
    assert len(images[1]) == 0


def test_labels_name_every_category_and_the_attribute_of_the_score(tmp_path):
    labels = written(tmp_path, {"a.jpg": predicted()}).findall("meta/task/labels/label")
    assert [label.find("name").text for label in labels] == ["car", "traffic sign", "cake"]
    assert {label.find("attributes/attribute/name").text for label in labels} == {"score"}
