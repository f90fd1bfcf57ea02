"""What was left out or repaired while reading is told again, with what can be done about it."""

from __future__ import annotations

import pytest
from auditing.made import IMAGE_SIZE, audited_for, labelled, one_car_each
from factories import coco_annotation, polygon, rectangle, write_picture

from instseg.auditing.checks_reading import ADVICE, reading_findings, spot_of
from instseg.auditing.dataset import audit_dataset
from instseg.auditing.report import Severity, Spot
from instseg.data.reading.findings import KINDS, Findings
from instseg.data.reading.labels import Labels
from instseg.data.reading.unlabelled import note_unlabelled

CAR = rectangle(10, 10, 50, 40)


def test_every_piece_of_advice_is_about_something_that_can_be_found():
    assert set(ADVICE) <= set(KINDS)


def test_names_of_findings_are_taken_apart():
    spot = spot_of("train", "annotation 7 of a (1).jpg: every polygon has fewer than three points")
    assert (spot.name, spot.annotation_id) == ("a (1).jpg", 7) and spot.detail.startswith("every polygon")
    assert spot_of("train", "annotation 8 of a.jpg").detail == "annotation 8"
    assert spot_of("val", "b.jpg (labels 2x3, file 3x2)").detail == "labels 2x3, file 3x2"
    assert spot_of("val", "/data/x/b.jpg: truncated (3 bytes)", "/data/x").name == "b.jpg"
    assert spot_of("val", "b.jpg").detail == ""


def test_missing_images_are_named_with_the_folder_they_were_sought_in(tmp_path, found):
    labels = labelled(one_car_each("train", 10))
    write_picture(tmp_path / "train/train_0.png", IMAGE_SIZE)
    labels["images"].append({"id": 99, "file_name": "gone.png"})
    for i in range(1, 10):
        write_picture(tmp_path / f"train/train_{i}.png", IMAGE_SIZE, seed=i)
    (tmp_path / "train/gone.png").mkdir()
    finding = found("image_missing", {"train": labels})
    assert finding.severity == Severity.WARNING and finding.names == ["gone.png"]
    assert str(tmp_path / "train") in finding.advice


def test_more_than_half_of_the_images_lost_is_fatal_but_can_be_accepted(tmp_path, audited):
    for i in range(10):
        write_picture(tmp_path / f"train/train_{i}.png", IMAGE_SIZE if i < 4 else (7, 7), seed=i)
    report = audited({})
    (fatal,) = report.of(Severity.FATAL)
    assert fatal.kind == "images_lost" and fatal.counts == {"train": 6} and fatal.names[0] == "train_4.png"
    assert report.splits["train"].num_listed == 10 and report.splits["train"].num_images == 4
    report.stop_if_fatal(["images_lost"])


def test_half_of_the_images_are_enough(tmp_path, audited):
    for i in range(10):
        write_picture(tmp_path / f"train/train_{i}.png", IMAGE_SIZE if i < 5 else (7, 7), seed=i)
    audited({}).stop_if_fatal()


def test_images_that_were_lost_before_the_others_were_divided_are_told_as_those_of_a_split(tmp_path, prepared):
    (tmp_path / "all").mkdir()
    for i in range(8):
        (tmp_path / f"all/all_{i}.png").write_bytes(b"")
    dataset = prepared({"all": labelled(one_car_each("all", 12))}, group_by=None)
    report = audit_dataset(dataset, audited_for(min_size=60, max_size=80), thorough=False)
    (fatal,) = report.of(Severity.FATAL)
    assert fatal.kind == "images_lost" and fatal.counts == {"all": 8} and fatal.title.endswith("more than half of all")
    (unreadable,) = (finding for finding in report.findings if finding.kind == "image_unreadable")
    assert unreadable.spots[0] == fatal.spots[0] == Spot("all", "all_0.png", "the file is empty")


def test_boxes_without_masks_are_a_warning_and_stray_points_a_remark(found):
    labels = labelled(one_car_each("train", 10))
    labels["annotations"] += [
        coco_annotation(50, 1, 1, [], bbox=[5, 5, 20, 20]),
        coco_annotation(51, 2, 1, [CAR, polygon((1, 1), (2, 2))]),
    ]
    boxes = found("box_only", {"train": labels})
    assert boxes.severity == Severity.WARNING and boxes.commands == ("dataset.box_only=boxes",)
    finding = found("part_degenerate", {"train": labels})
    assert finding.severity == Severity.INFO and finding.spots[0].annotation_id == 51


def test_where_no_instance_has_a_mask_nobody_is_advised_to_learn_none():
    read = Findings()
    read.add("box_only", "annotation 1 of a.jpg")
    of_one, of_two = (reading_findings({"train": read}, {}, count)[0].commands for count in (1, 2))
    assert of_one == () and of_two == ("dataset.box_only=boxes",)


# ---- EXIF


def turned(tmp_path, split, count, size=IMAGE_SIZE):
    """Images that are turned by a quarter; ``size`` as stored."""
    for i in range(count):
        write_picture(tmp_path / split / f"{split}_{i}.png", size, seed=i, orientation=6)


def test_turned_images_whose_size_tells_the_frame_are_good_to_know(tmp_path, found):
    turned(tmp_path, "train", 3, size=IMAGE_SIZE[::-1])
    finding = found("exif", {})
    assert finding.severity == Severity.INFO and finding.counts == {"train": 3} and finding.commands == ()
    assert "as shown (3)" in finding.title


def test_turned_images_that_were_labelled_as_stored_are_told_so(tmp_path, found):
    turned(tmp_path, "train", 3)
    assert "as stored (3)" in found("exif", {}).title


def test_square_images_alone_are_a_guess_that_wants_to_be_looked_at(tmp_path, found):
    turned(tmp_path, "train", 10, size=(60, 60))
    labels = labelled(one_car_each("train", 10))
    for image in labels["images"]:
        image["width"] = 60
    finding = found("exif", {"train": labels})
    assert finding.severity == Severity.WARNING and finding.commands == ("dataset.exif=stored",)
    assert finding.spots[0].image is not None, "it can be drawn"
    said = audited_for(60, 80, exif_is_given=True)
    assert found("exif", {"train": labels}, options=said).severity == Severity.INFO


def test_square_images_follow_the_others_of_their_source(tmp_path, found):
    turned(tmp_path, "train", 1, size=(60, 60))
    turned(tmp_path, "val", 2)
    labels = labelled(one_car_each("train", 10))
    labels["images"][0]["width"] = 60
    finding = found("exif", {"train": labels})
    assert finding.severity == Severity.INFO and "They follow the other 2" in finding.advice
    assert finding.names[0] == "train_0.png", "the doubtful one first"


# ---- image files that no label mentions


def labels_of(folder, names) -> Labels:
    for name in names:
        write_picture(folder / name, (4, 4))
    return Labels({"images": [{"id": i, "file_name": n} for i, n in enumerate(names)]}, folder)


def test_image_files_beside_the_listed_ones_are_noted(tmp_path):
    labels = labels_of(tmp_path, ["a/1.png", "a/2.png"])
    for name in ("a/extra.PNG", "a/.hidden.png", "b/elsewhere.png"):
        write_picture(tmp_path / name, (4, 4))
    (tmp_path / "a/notes.txt").touch()
    findings = {"all": Findings()}
    note_unlabelled({"all": labels}, [], findings)
    assert findings["all"].names == {"image_unlabelled": ["a/extra.PNG"]}


def test_images_of_another_split_and_masks_among_the_label_files_are_no_extras(tmp_path):
    labels = {"train": labels_of(tmp_path, ["1.png"]), "val": labels_of(tmp_path, ["2.png"])}
    write_picture(tmp_path / "1_mask.png", (4, 4))
    findings = {"train": Findings(), "val": Findings()}
    note_unlabelled(labels, [tmp_path / "1_mask.png"], findings)
    assert not findings["train"].names and not findings["val"].names


def test_what_a_reader_has_noted_itself_is_not_noted_again(tmp_path):
    labels = labels_of(tmp_path, ["1.png"])
    write_picture(tmp_path / "extra.png", (4, 4))
    findings = {"all": Findings()}
    findings["all"].add("image_unlabelled", "extra.png")
    note_unlabelled({"all": labels}, [], findings)
    assert findings["all"].names["image_unlabelled"] == ["extra.png"]


@pytest.mark.parametrize("name", ["gone/1.png", "1.png"])
def test_folders_that_do_not_exist_have_no_extras(tmp_path, name):
    labels = Labels({"images": [{"id": 1, "file_name": name}]}, tmp_path / "nowhere")
    findings = {"all": Findings()}
    note_unlabelled({"all": labels}, [], findings)
    assert not findings["all"].names


def test_the_option_that_the_details_of_a_finding_name_is_its_command(found):
    labels = labelled(one_car_each("train", 10))
    for annotation in labels["annotations"]:
        annotation["bbox"] = [10, 10, 50, 40]
        annotation["segmentation"] = [rectangle(10, 10, 50, 40).reshape(-1).tolist()]
    labels["annotations"][0]["bbox"] = [50, 40, 9, 9]
    labels["annotations"][1]["segmentation"] = [rectangle(10, 10, 20, 40).reshape(-1).tolist()]
    labels["annotations"][1]["bbox"] = [10, 10, 20, 40]
    finding = found("bbox_misread", {"train": labels})
    assert finding.severity == Severity.WARNING and finding.commands == ("dataset.bbox=xyxy",)


def test_a_slip_in_a_hundred_is_a_remark_and_ten_are_a_warning():
    one = {"train": Findings()}
    one["train"].add("area_differs", "annotation 1 of a.jpg (2 px instead of 90)")
    assert [reading_findings(one, {}, number)[0].severity for number in (100, 99)] == [Severity.INFO, Severity.WARNING]
