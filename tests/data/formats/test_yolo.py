"""YOLO folders as people bring them: where the images and labels are, what a row is, what is refused and why."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories import write_picture
from reading import check_reading, instances, mutated_bytes, mutated_json, read_labels

from instseg.core.errors import InstsegError
from instseg.data.formats.yolo.reader import YoloReader, recognise
from instseg.data.reading.labels import Labels

SIZE = (20, 40)
POLYGON = "0 0.25 0.1 0.5 0.1 0.5 0.45"
OUTLINE = [[10, 2, 20, 2, 20, 9]]
NAMES = {0: "car", 1: "dog"}


def write_photo(root: Path, photo: str, *rows: str, label: str | None = None) -> None:
    """An image, and its rows in the text file that belongs to it: ``labels`` for ``images``."""
    write_picture(root / photo, SIZE)
    file = root / (label or Path(photo.replace("images", "labels")).with_suffix(".txt"))
    if rows:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(rows) + "\n")


def write_yaml(root: Path, name: str = "data.yaml", **content: Any) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(yaml.safe_dump({"names": NAMES, **content}))
    return root / name


def read(root: Path) -> tuple[dict[str, Labels], dict[str, list[str]]]:
    return read_labels(YoloReader(root))


def photos(root: Path) -> dict[str, list[str]]:
    """Split -> its images, all of which exist."""
    labels, _ = read(root)
    assert all((part.image_root / name).is_file() for part in labels.values() for name in instances(part))
    return {split: list(instances(part)) for split, part in labels.items()}


def rows_of(root: Path, *rows: str, **content: Any) -> tuple[list[tuple[str, Any]], dict[str, list[str]]]:
    """The instances of an image with these rows, and the findings by kind."""
    write_photo(root, "images/a.png", *rows)
    write_yaml(root, **{"train": "images", **content})
    labels, findings = read(root)
    return instances(labels["train"])["images/a.png"], findings


# ---- which text file is whose


@pytest.mark.parametrize(
    ("photo", "label"),
    [
        ("images/cafe\u0301.png", "labels/caf\u00e9.txt"),  # copied from macOS
        ("images/Caf\u00e9/a.png", "labels/Cafe\u0301/a.txt"),
        ("images/IMG_1.PNG", "labels/img_1.TXT"),
        ("images/my photo.png", "labels/my%20photo.txt"),
        ("photos/IMG_2.png", "photos/img_2.txt"),
    ],
)
def test_a_text_file_in_another_spelling_is_that_of_the_image_and_said(tmp_path, photo, label):
    write_photo(tmp_path, photo, POLYGON, label=label)
    write_yaml(tmp_path, train=Path(photo).parts[0])
    labels, findings = read(tmp_path)
    assert instances(labels["train"])[photo] == [("car", OUTLINE)]
    is_told = Path(photo).stem != Path(label).stem
    assert findings == ({"label_respelled": [f"{photo} ({Path(label).name})"]} if is_told else {})
    assert tmp_path / label in YoloReader(tmp_path).label_files()


def test_an_image_takes_no_text_file_that_another_has_or_that_two_may_mean(tmp_path):
    for photo in ("A", "a", "IMG", "img"):
        write_photo(tmp_path, f"images/{photo}.png")
    for label in ("a", "Img"):
        write_photo(tmp_path, "images/a.png", POLYGON, label=f"labels/{label}.txt")
    write_yaml(tmp_path, train="images")
    labels, findings = read(tmp_path)
    assert [name for name, some in instances(labels["train"]).items() if some] == ["images/a.png"]
    assert findings == {"label_unmatched": [str(tmp_path / "labels/Img.txt")]}


def test_text_files_with_rows_that_belong_to_no_image_are_told_as_a_new_one_is(tmp_path):
    write_photo(tmp_path, "images/a.png", POLYGON)
    write_photo(tmp_path, "images/unlisted.png", POLYGON)
    (tmp_path / "train.txt").write_text("images/a.png\n")
    write_yaml(tmp_path, train="train.txt")
    for name, text in (("lost", POLYGON), ("classes", "car"), ("notes", "to do"), ("empty", "")):
        (tmp_path / f"labels/{name}.txt").write_text(text)
    assert read(tmp_path)[1] == {"label_unmatched": [str(tmp_path / "labels/lost.txt")]}
    assert tmp_path / "labels/lost.txt" in YoloReader(tmp_path).label_files()


# ---- where the images are


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("images/train", "images/val"),
        ("images/train/", ["./images/val"]),
        ("/content/drive/mine/images/train", "D:\\mine\\images\\val"),
        ("../images/train", "../../images/val"),
    ],
)
def test_a_split_is_a_folder_or_several_also_as_another_machine_called_it(tmp_path, train, val):
    for split in ("train", "val"):
        write_photo(tmp_path, f"images/{split}/{split}.png", POLYGON)
    write_yaml(tmp_path, path="/content/drive/mine", train=train, val=val)
    assert photos(tmp_path) == {"train": ["images/train/train.png"], "val": ["images/val/val.png"]}
    assert recognise(tmp_path) == "a YOLO yaml (data.yaml)"
    assert recognise(tmp_path / "data.yaml") == "a YOLO yaml"


def test_roboflow_writes_paths_from_one_folder_too_high_and_names_splits_that_are_not_there(tmp_path):
    for split in ("train", "valid"):
        write_photo(tmp_path, f"{split}/images/a.png", POLYGON)
    write_yaml(
        tmp_path, train="../train/images", val="../valid/images", test="../test/images", nc=2, names=["car", "dog"]
    )
    assert photos(tmp_path) == {"train": ["train/images/a.png"], "val": ["valid/images/a.png"]}


def test_a_split_of_its_own_name_is_not_taken_for_all_images(tmp_path):
    write_photo(tmp_path, "images/a.png", POLYGON)
    write_yaml(tmp_path, train="images", val="val/images")
    labels, findings = read(tmp_path)
    assert list(labels) == ["train"] and findings["split_missing"] == ["val (val/images)"]


def test_rows_may_have_commas_and_folders_capitals_as_on_windows(tmp_path):
    write_photo(tmp_path, "Images/a.png", POLYGON.replace(" ", ","), label="Labels/a.txt")
    assert recognise(tmp_path) == "YOLO labels (Labels)"
    write_yaml(tmp_path, train="Images")
    assert instances(read(tmp_path)[0]["train"])["Images/a.png"] == [("car", OUTLINE)]


def test_a_folder_of_darknet_has_names_lists_and_labels_beside_the_images(tmp_path):
    write_photo(tmp_path, "obj_train_data/a.png", POLYGON, label="obj_train_data/a.txt")
    (tmp_path / "obj.names").write_text("car\ndog\n")
    (tmp_path / "obj.data").write_text("classes = 2\ntrain = data/train.txt\n")
    (tmp_path / "train.txt").write_text("data/obj_train_data/a.png\n")
    assert recognise(tmp_path) == "YOLO labels beside the images"
    assert instances(read(tmp_path)[0]["train"]) == {"obj_train_data/a.png": [("car", OUTLINE)]}


def test_an_empty_line_in_the_names_is_a_class_without_a_name(tmp_path):
    write_photo(tmp_path, "images/a.png", POLYGON.replace("0", "2", 1), POLYGON.replace("0", "1", 1))
    (tmp_path / "classes.txt").write_text("car\n\ndog\n")
    labels, findings = read(tmp_path)
    assert instances(labels["all"])["images/a.png"] == [("dog", OUTLINE)]
    assert len(findings["category_unknown"]) == 1


def test_a_split_may_be_a_list_of_images_from_the_folder_of_the_list_or_of_the_yaml(tmp_path):
    for name in ("images/a", "images/b", "images/c", "lists/images/d"):
        write_photo(tmp_path, f"{name}.png", POLYGON)
    (tmp_path / "train.txt").write_text("./images/a.png\n\n/home/x/images/b.png\n# a comment\n")
    (tmp_path / "lists/val.txt").write_text("images/c.png\n./images/d.png\nimages/gone.png\n")
    write_yaml(tmp_path, train="train.txt", validation="lists/val.txt")
    labels, _ = read(tmp_path)
    assert {split: list(instances(part)) for split, part in labels.items()} == {
        "train": ["images/a.png", "images/b.png"],
        "val": ["images/c.png", "lists/images/d.png", "gone.png"],  # the last is reported as missing later
    }
    assert {tmp_path / "train.txt", tmp_path / "lists/val.txt"} <= set(YoloReader(tmp_path).label_files())


def test_images_may_lie_where_the_yaml_says_outside_of_its_folder(tmp_path):
    write_photo(tmp_path / "datasets/mine", "images/a.png", POLYGON)
    write_yaml(tmp_path / "configs", path="../datasets/mine", train="images")
    labels, _ = read(tmp_path / "configs")
    assert labels["train"].image_root == tmp_path / "datasets/mine"
    assert photos(tmp_path / "configs/data.yaml") == {"train": ["images/a.png"]}


def test_splits_that_are_the_same_images_are_one(tmp_path):
    write_photo(tmp_path, "images/a.png", POLYGON)
    write_yaml(tmp_path, train="images", val="images")
    labels, findings = read(tmp_path)
    assert (list(labels), findings) == (["train"], {"split_repeated": ["val (the same as train)"]})


def test_of_several_yaml_one_must_be_named(tmp_path):
    write_photo(tmp_path, "images/a.png", POLYGON)
    files = [write_yaml(tmp_path, name, train="images") for name in ("a.yaml", "b.yml")]
    write_yaml(tmp_path, "hyperparameters.yaml", lr=0.1)
    with pytest.raises(InstsegError, match=r"more than one yaml .* a\.yaml, b\.yml\. Give one: dataset\.root="):
        read(tmp_path)
    assert photos(files[0]) == {"train": ["images/a.png"]}


def test_without_a_yaml_there_are_folders_and_the_names_in_classes_txt(tmp_path):
    write_photo(tmp_path, "images/train/a.png", POLYGON, "1 0.5 0.5 0.2 0.2")
    write_photo(tmp_path, "images/val/b.png", POLYGON)
    write_picture(tmp_path / "labels.jpg", SIZE)  # a plot of the training
    (tmp_path / "labels/classes.txt").write_text("car\ndog\n")
    labels, _ = read(tmp_path)
    assert photos(tmp_path) == {"train": ["images/train/a.png"], "val": ["images/val/b.png"]}
    assert [name for name, _ in instances(labels["train"])["images/train/a.png"]] == ["car", "dog"]
    assert recognise(tmp_path) == "YOLO labels (labels)"


def test_labels_may_lie_beside_the_images(tmp_path):
    write_photo(tmp_path, "a.png", POLYGON)
    (tmp_path / "classes.txt").write_text("car\n")
    assert photos(tmp_path) == {"all": ["a.png"]}
    assert recognise(tmp_path) == "YOLO labels beside the images"


def test_the_last_folder_called_images_is_the_one_that_labels_stands_for(tmp_path):
    write_photo(tmp_path, "images/x/images/a.png", POLYGON, label="images/x/labels/a.txt")
    write_yaml(tmp_path, train="images/x/images")
    labels, _ = read(tmp_path)
    assert len(labels["train"].coco["annotations"]) == 1


# ---- rows


def test_a_polygon_is_in_shares_of_width_and_height_and_a_box_has_its_centre(tmp_path):
    found, findings = rows_of(tmp_path, POLYGON, "1 0.5 0.5 0.25 0.5", "1  0.0 0.0 1 0 1 1 0 1 ")
    assert found == [("car", OUTLINE), ("dog", [15, 5, 10, 10]), ("dog", [[0, 0, 40, 0, 40, 20, 0, 20]])]
    assert findings == {}


def test_shares_are_of_the_image_as_it_is_displayed(tmp_path):
    write_photo(tmp_path, "images/a.png", POLYGON)
    (tmp_path / "images/a.png").unlink()
    write_picture(tmp_path / "images/a.jpg", SIZE, orientation=6)
    write_yaml(tmp_path, train="images")
    labels, _ = read(tmp_path)
    assert labels["train"].coco["images"] == [{"id": 1, "file_name": "images/a.jpg", "height": 40, "width": 20}]
    assert labels["train"].coco["annotations"][0]["segmentation"] == [[5, 4, 10, 4, 10, 18]]


def test_polygons_may_reach_out_of_the_image(tmp_path):
    found, findings = rows_of(tmp_path, "0 -0.05 0 1.2 0 1.2 1")
    assert (found[0][1], findings) == ([[-2, 0, 48, 0, 48, 20]], {})


def test_the_score_at_the_end_of_a_prediction_is_not_used(tmp_path):
    found, findings = rows_of(tmp_path, f"{POLYGON} 0.93", "0 0.5 0.5 0.25 0.5 0.8")
    assert [shape for _, shape in found] == [OUTLINE, [15, 5, 10, 10]]
    assert [name.split(": ")[-1] for name in findings["score_ignored"]] == ["row 1", "row 2"]


def test_an_image_without_a_text_file_or_with_an_empty_one_has_nothing_on_it(tmp_path):
    write_photo(tmp_path, "images/a.png", POLYGON)
    write_photo(tmp_path, "images/empty.png", "")
    write_photo(tmp_path, "images/none.png")
    write_yaml(tmp_path, train="images")
    labels, findings = read(tmp_path)
    assert {name: len(found) for name, found in instances(labels["train"]).items()} == {
        "images/a.png": 1,
        "images/empty.png": 0,
        "images/none.png": 0,
    }
    assert findings == {}
    assert tmp_path / "images" in YoloReader(tmp_path).label_files(), "a new photo changes its folder"


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ("7 0.1 0.1 0.2 0.2", "category_unknown"),
        (POLYGON, "shape_repeated"),
        *[(f"{index} 0.1 0.1 0.2 0.2", "shape_invalid") for index in ("-1", "0.5", "car", "nan", "1e999")],
        *[
            (f"0 {values}", "shape_invalid")
            for values in ("", "0.1", "0.1 0.2 0.3", "0.1 0.1 0.2 nan", "0.1;0.1;0.2;0.2")
        ],
        ("0 12 30 200 30 200 180", "shape_invalid"),
    ],
)
def test_what_is_no_instance_is_counted_and_named_and_the_others_stay(tmp_path, wrong, kind):
    found, findings = rows_of(tmp_path, POLYGON, wrong)
    assert found == [("car", OUTLINE)]
    assert list(findings) == [kind] and "labels/a.txt: row 2" in findings[kind][0]


# ---- names, and what is refused


def test_names_are_a_list_or_go_by_index_and_all_of_them_are_categories(tmp_path):
    for i, names in enumerate([["dog", "cat", "car"], {2: "car", 0: "dog", "1": "cat"}]):
        write_photo(tmp_path / str(i), "images/a.png", "2 0.5 0.5 0.2 0.2")
        write_yaml(tmp_path / str(i), train="images", names=names)
        labels, _ = read(tmp_path / str(i))
        assert [category["name"] for category in labels["train"].coco["categories"]] == ["dog", "cat", "car"]
        assert labels["train"].coco["annotations"][0]["category_id"] == 3


@pytest.mark.parametrize(("content", "names"), [({"nc": 3}, [0, 1, 2]), ({"nc": None}, [2])])
def test_classes_without_names_are_numbered(tmp_path, content, names):
    write_photo(tmp_path, "images/a.png", "2 0.5 0.5 0.2 0.2")
    write_yaml(tmp_path, train="images", names=None, **content)
    labels, findings = read(tmp_path)
    assert [category["name"] for category in labels["train"].coco["categories"]] == [f"class_{n}" for n in names]
    assert findings == ({} if content["nc"] else {"category_unnamed": ["class_2"]})


@pytest.mark.parametrize(
    ("rows", "content", "told"),
    [
        ([POLYGON], {"nc": 3}, r"nc is 3, but the file has 2 names: car, dog"),
        ([POLYGON], {"nc": "2"}, r"nc is str, but the file has 2 names"),
        ([POLYGON], {"names": "car"}, "names must be a list, or map class indices to names"),
        ([POLYGON], {"names": ["car", ["dog"]]}, "names must be texts"),
        ([POLYGON], {"names": {"first": "car"}}, "names must be a list, or map class indices to names"),
        ([POLYGON], {"train": 7}, "train: no such folder or file: int"),
        ([POLYGON], {"train": "images/nothing"}, "train: no such folder or file: images/nothing"),
        ([POLYGON], {"train": None}, "no image in any of its splits"),
        ([POLYGON], {"kpt_shape": [17, 3]}, r"key points \(kpt_shape\), not polygons"),
        (
            ["0 0.5 0.5 0.2 0.2 0.4 0.4 2 0.6 0.6 1", "0 0.5 0.5 0.3 0.3 0.4 0.4 0 0.6 0.6 2"],
            {},
            "boxes with key points",
        ),
        (["0 12 30 200 30 200 180"], {}, r"no label file has a usable row\. .* row 1: expected fractions .* pixels\?"),
        ([], {}, r"no label file has a usable row\. All are empty or missing"),
    ],
)
def test_a_dataset_that_is_wrong_as_a_whole_is_refused(tmp_path, rows, content, told):
    with pytest.raises(InstsegError, match=told):
        rows_of(tmp_path, *rows, **content)


@pytest.mark.parametrize("text", ["train: [", "!!python/object:os.system x", "- a", "\0", "train: images", "a: *b"])
def test_a_yaml_that_is_none_is_refused(tmp_path, text):
    write_photo(tmp_path, "images/a.png", POLYGON)
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(InstsegError, match=r"data\.yaml: (not a readable yaml file|expected a YOLO dataset)"):
        read(tmp_path)
    assert recognise(tmp_path) == "YOLO labels (labels)"


def test_folders_of_other_kinds_are_not_recognised(tmp_path):
    write_picture(tmp_path / "images/a.png", SIZE)
    assert recognise(tmp_path) is None
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("Car 0.00 0 1.85 387.63 181.54 423.81 203.12 1.67 1.87 3.69\n")
    assert recognise(tmp_path) is None, "KITTI"
    with pytest.raises(InstsegError, match=r"expected a YOLO dataset with a data\.yaml"):
        read(tmp_path / "labels")


def test_damaged_files_give_findings_or_a_clear_error_and_nothing_else(tmp_path, tries):
    write_photo(tmp_path, "images/train/a.png", POLYGON, "1 0.5 0.5 0.2 0.2")
    write_photo(tmp_path, "images/val/b.png", POLYGON)
    (tmp_path / "list.txt").write_text("images/train/a.png\n")
    content = {
        "path": ".",
        "train": "images/train",
        "val": ["images/val", "list.txt"],
        "nc": 2,
        "names": ["car", "dog"],
    }
    label, config = tmp_path / "labels/train/a.txt", tmp_path / "data.yaml"
    good, text = label.read_bytes(), yaml.safe_dump(content).encode()
    results = []
    for seed in range(2 * tries):
        rng = random.Random(seed)
        label.write_bytes(mutated_bytes(good, rng) if seed % 3 == 0 else good)
        config.write_bytes(mutated_bytes(text, rng) if seed % 3 == 1 else text)
        if seed % 3 == 2:
            config.write_text(yaml.dump(mutated_json(content, rng)), "utf-8", "surrogatepass")
        results.append(check_reading(lambda: YoloReader(tmp_path)))
        recognise(tmp_path)
    assert 3 * sum(results) > len(results), "much damage is local"
