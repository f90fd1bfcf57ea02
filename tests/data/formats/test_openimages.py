"""Open Images folders: which masks count, in which size, what they are called, where boxes come in, how it is split."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from factories import SHARED, drawn, write_picture
from mask_pictures import as_bitmask, as_drawn, write_mask
from reading import check_reading, instances, mutated_bytes, read_labels
from sampled import first

from instseg.core.errors import InstsegError
from instseg.data.formats.openimages.reader import OpenImagesReader, recognise
from instseg.data.reading.findings import Findings
from instseg.data.reading.labels import Labels

SIZE = (4, 6)
CAT, DOG = "/m/01yrx", "/m/0bt9lr"
MASK_HEADER = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"
BOX_HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
NAMES = f"LabelName,DisplayName\n{CAT},Cat\n{DOG},Dog\n"
SHAPE = drawn("......", ".##...", ".##...", "......")


def mask_name(image_id: str, label: str, number: int = 0) -> str:
    return f"{image_id}_{label[1:].replace('/', '')}_{number:08x}.png"


def write_masks(root: Path, image_id: str, *labels: str, table: str = "train", shape: np.ndarray = SHAPE) -> None:
    """Image, masks and rows of one image, as the official files are called; the table grows."""
    write_picture(root / f"images/{table}/{image_id}.png", SIZE)
    path = root / f"annotations/{table}-annotations-object-segmentation.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{mask_name(image_id, label, i)},{image_id},{label},{i:08x},0,1,0,1,0.8,\n" for i, label in enumerate(labels)
    ]
    before = path.read_text() if path.is_file() else MASK_HEADER + "\n"
    path.write_text(before + "".join(rows))
    for i, label in enumerate(labels):
        write_mask(root / f"masks/{table}/{mask_name(image_id, label, i)}", shape.astype(bool))


def write_names(root: Path, text: str = NAMES, name: str = "oidv7-class-descriptions-boxable.csv") -> None:
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "annotations" / name).write_text(text)


def write_boxes(root: Path, *rows: str, table: str = "validation", photos: tuple[str, ...] = ()) -> None:
    for image_id in photos:
        write_picture(root / f"images/{table}/{image_id}.png", SIZE)
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / f"annotations/{table}-annotations-bbox.csv").write_text("\n".join([BOX_HEADER, *rows]))


def read(root: Path, **options) -> tuple[dict[str, Labels], dict[str, list[str]]]:
    return read_labels(OpenImagesReader(root, **options))


# ---- masks


def test_masks_names_and_splits_of_the_official_layout(tmp_path):
    write_names(tmp_path)
    write_masks(tmp_path, "a0", CAT, DOG)
    write_masks(tmp_path, "b0", DOG, table="validation")
    labels, findings = read(tmp_path)
    train, val = instances(labels["train"]), instances(labels["val"])
    assert [(name, as_drawn(mask)) for name, mask in train["images/train/a0.png"]] == [
        ("Cat", ["......", ".##...", ".##...", "......"]),
        ("Dog", ["......", ".##...", ".##...", "......"]),
    ]
    assert [name for name, _ in val["images/validation/b0.png"]] == ["Dog"]
    assert labels["val"].coco["categories"] == labels["train"].coco["categories"]
    assert findings == {}


def test_a_mask_of_another_size_is_scaled_to_its_image(tmp_path):
    write_masks(tmp_path, "a0", CAT, shape=np.kron(SHAPE, np.ones((5, 5))))
    write_masks(tmp_path, "b0", CAT, shape=SHAPE[::2, ::2])
    write_masks(tmp_path, "c0", CAT, shape=np.ones((9, 30)))
    labels, findings = read(tmp_path)
    found = {name: as_drawn(entries[0][1]) for name, entries in instances(labels["train"]).items()}
    assert found == {
        "images/train/a0.png": ["......", ".##...", ".##...", "......"],
        "images/train/b0.png": ["......", "......", "..##..", "..##.."],
    }
    assert [text.split(": ")[1] for text in findings["mask_invalid"]] == ["is 30x9, its image 6x4"]


def test_the_frame_of_a_turned_image_is_the_one_whose_shape_the_mask_has(tmp_path):
    for image_id, shape in (("a0", SHAPE), ("b0", SHAPE.T)):
        write_masks(tmp_path, image_id, CAT, shape=shape)
        write_picture(tmp_path / f"images/train/{image_id}.png", SIZE, orientation=6)
    sizes = [(image["height"], image["width"]) for image in read(tmp_path)[0]["train"].coco["images"]]
    assert sizes == [SIZE, SIZE[::-1]]


def test_without_class_descriptions_the_ids_are_the_names(tmp_path):
    write_masks(tmp_path, "a0", CAT, DOG)
    write_names(tmp_path, f"{DOG},Dog\n", "class-descriptions-boxable.csv")  # v4 to v6 have no header
    labels, findings = read(tmp_path)
    assert [name for name, _ in instances(labels["train"])["images/train/a0.png"]] == [CAT, "Dog"]
    assert findings == {"category_unnamed": [f"{CAT} (a table such as oidv7-class-descriptions.csv names it)"]}


def test_without_a_table_of_masks_their_names_tell_image_and_class(tmp_path):
    for image_id, label in (("a0", "/m/04_sv"), ("b0", CAT)):  # a class may have an underscore
        write_picture(tmp_path / f"motorcycle/images/{image_id}.png", SIZE)
        write_mask(tmp_path / "motorcycle/segmentations" / mask_name(image_id, label), SHAPE.astype(bool))
    labels, _ = read(tmp_path)
    assert [name for (name, _), *_ in instances(labels["all"]).values()] == ["/m/04_sv", CAT]


def test_an_image_in_the_folders_of_two_classes_is_one(tmp_path):
    write_masks(tmp_path, "a0", CAT)
    write_picture(tmp_path / "images/train/again/a0.png", SIZE)
    assert len(read(tmp_path)[0]["train"].coco["images"]) == 1


def test_what_does_not_fit_together_is_named(tmp_path):
    write_masks(tmp_path, "a0", CAT, DOG, "")
    write_masks(tmp_path, "b0", CAT)
    write_masks(tmp_path, "c0", CAT, shape=np.zeros(SIZE))
    (tmp_path / "masks/train" / mask_name("a0", DOG, 1)).unlink()
    (tmp_path / "masks/train" / mask_name("b0", CAT)).unlink()
    write_picture(tmp_path / "images/train/d0.png", SIZE)
    write_mask(tmp_path / "masks/train" / mask_name("d0", CAT), SHAPE.astype(bool))
    write_mask(tmp_path / "masks/train" / mask_name("e0", CAT), SHAPE.astype(bool))
    labels, findings = read(tmp_path)
    assert {name: len(found) for name, found in instances(labels["train"]).items()} == {"images/train/a0.png": 1}
    assert findings.pop("category_unnamed")
    assert findings == {
        "category_missing": ["a0__00000002.png"],
        "image_unlabelled": ["images/train/d0.png", "images/train/b0.png", "images/train/c0.png"],
        "mask_missing": [mask_name("a0", DOG, 1), mask_name("b0", CAT)],
        "mask_unlisted": [mask_name("d0", CAT)],
        "mask_unmatched": [f"{mask_name('e0', CAT)}: its image is missing"],
        "shape_degenerate": [mask_name("c0", CAT)],
    }


def test_rows_of_images_that_are_not_there_cost_nothing(tmp_path):
    write_masks(tmp_path, "a0", CAT)
    table = tmp_path / "annotations/train-annotations-object-segmentation.csv"
    table.write_text(table.read_text() + "zz_m01yrx_00000000.png,zz,/m/01yrx,00000000,0,1,0,1,0.8,\n" * 1000 + "a0,cut")
    labels, findings = read(tmp_path)
    assert len(labels["train"].coco["images"]) == 1
    assert findings.keys() == {"category_unnamed"}


# ---- boxes


def test_boxes_are_used_where_there_are_no_masks_at_all_and_groups_are_crowds(tmp_path):
    write_names(tmp_path)
    rows = [
        f"a0,xclick,{CAT},1,0.5,1,0,0.25,0,0,0,0,0",
        f"a0,xclick,{DOG},1,0.9,0.1,0,1,0,0,1,0,0",
        "b0,x,/m/0,1,nan,1,0,1,0,0,0,0,0",
    ]
    write_boxes(tmp_path, *rows, *rows[:1], photos=("a0", "b0"))
    labels, findings = read(tmp_path)
    boxes = {"Cat": [3.0, 0.0, 3.0, 1.0], "Dog": [0.6, 0.0, 4.8, 4.0]}
    assert {n: pytest.approx(box) for n, box in instances(labels["val"])["images/validation/a0.png"]} == boxes
    assert [one["iscrowd"] for one in labels["val"].coco["annotations"]] == [0, 1]
    assert findings.keys() == {"shape_invalid", "image_unlabelled", "category_unnamed"}


@pytest.mark.parametrize(("boxes", "expected"), [(None, ["a0"]), (False, ["a0"]), (True, ["a0", "b0"])])
def test_beside_masks_boxes_are_used_only_when_asked_for_and_never_for_an_image_with_masks(tmp_path, boxes, expected):
    write_masks(tmp_path, "a0", CAT)
    rows = [f"{image_id},xclick,{CAT},1,0,1,0,1,0,0,0,0,0" for image_id in ("a0", "b0")]
    write_boxes(tmp_path, *rows, table="train", photos=("b0",))
    labels, _ = read(tmp_path, boxes=boxes)
    assert [Path(name).stem for name in instances(labels["train"])] == expected
    assert len(labels["train"].coco["annotations"]) == len(expected)


# ---- refusing, recognising, enduring


def test_a_folder_without_any_label_of_its_images_is_refused_with_what_was_found(tmp_path):
    write_boxes(tmp_path, "zz,xclick,/m/0,1,0,1,0,1,0,0,0,0,0", photos=("a0",))
    with pytest.raises(InstsegError, match=r"none of the 1 image \(images/validation/a0.png\) has a mask.*boxes=true"):
        read(tmp_path)
    write_masks(tmp_path, "b0", CAT, shape=np.zeros(SIZE))
    with pytest.raises(
        InstsegError,
        match=r"no instance can be used; .*no area inside the image; left out: 1 \(b0_m01yrx_00000000\.png",
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected the columns ImageID, LabelName, MaskPath; no ImageID, LabelName, MaskPath"),
        ("MaskPath,ImageID\na,b\n", "no LabelName in"),
        (f'{MASK_HEADER}\n"{"x" * 200_000}"\n', "field larger than field limit"),
    ],
)
def test_what_is_no_table_is_refused_with_its_name(tmp_path, text, reason):
    write_masks(tmp_path, "a0", CAT)
    (tmp_path / "annotations/train-annotations-object-segmentation.csv").write_text(text)
    with pytest.raises(InstsegError, match=f"train-annotations-object-segmentation.csv: .*{reason}"):
        read(tmp_path)


def test_recognised_by_its_tables_or_by_the_names_of_masks(tmp_path):
    write_masks(tmp_path / "a", "a0", CAT)
    assert recognise(tmp_path / "a") == "Open Images tables (train-annotations-object-segmentation.csv)"
    write_mask(tmp_path / "b/x" / mask_name("a0", CAT), SHAPE)
    assert recognise(tmp_path / "b") == f"Open Images masks ({mask_name('a0', CAT)})"
    write_mask(tmp_path / "c/masks/a_1.png", SHAPE)
    assert recognise(tmp_path / "c") is None


@pytest.mark.parametrize("seed", first(30, range(60)))
def test_damaged_files_give_labels_findings_or_our_error(tmp_path, seed):
    rng = random.Random(seed)
    write_names(tmp_path)
    write_masks(tmp_path, "a0", CAT, DOG)
    write_masks(tmp_path, "b0", DOG, table="validation")
    write_boxes(tmp_path, f"c0,xclick,{CAT},1,0.5,1,0,0.25,0,0,1,0,0", photos=("c0",))
    for file in rng.sample(sorted([*tmp_path.rglob("*.csv"), *tmp_path.rglob("*.png")]), 2):
        file.write_bytes(mutated_bytes(file.read_bytes(), rng))
    recognise(tmp_path)
    check_reading(lambda: OpenImagesReader(tmp_path, boxes=rng.choice([None, True])))


# ---- real data

SIDES = ("XMin", "XMax", "YMin", "YMax")


def sides(bitmask: np.ndarray) -> list[float]:
    """As shares of the picture, in the order of the table."""
    (height, width), (rows, columns) = bitmask.shape, np.nonzero(bitmask)
    return [columns.min() / width, (columns.max() + 1) / width, rows.min() / height, (rows.max() + 1) / height]


@pytest.mark.skipif(not (SHARED / "openimages_masks").is_dir(), reason="needs the shared photos")
def test_real_masks_lie_where_their_table_says():
    root = SHARED / "openimages_masks"
    labels, findings = read(root)
    found = instances(labels["all"])
    names = [name for entries in found.values() for name, _ in entries]
    assert (len(found), names.count("/m/0663v"), names.count("/m/0pg52")) == (6, 5, 5)
    assert len(findings["image_unlabelled"]) == 4
    with next(root.glob("*.csv")).open() as file:
        listed = {(row["ImageID"], row["MaskPath"]): row for row in csv.DictReader(file)}
    expected = sorted([float(row[f"Box{side}"]) for side in SIDES] for row in listed.values())
    measured = sorted(sides(as_bitmask(mask)) for entries in found.values() for _, mask in entries)
    assert np.abs(np.array(measured) - expected).max() < 2 / 680  # a pixel or two of scaling
    assert recognise(root)


@pytest.mark.skipif(not (SHARED / "openimages_v6_tiny_fixture").is_dir(), reason="needs the shared fixture")
def test_the_official_names_and_columns_of_version_6():
    findings: defaultdict[str, Findings] = defaultdict(Findings)
    labels = OpenImagesReader(SHARED / "openimages_v6_tiny_fixture", boxes=True).read(findings)
    found = {split: {name: [i[0] for i in e] for name, e in instances(part).items()} for split, part in labels.items()}
    assert found == {
        "train": {"images/train/b.jpg": ["Generic label #0"]},
        "test": {"images/test/c.jpg": ["Generic label #3"]},
    }
    left_out = {split: dict(names.names) for split, names in findings.items() if names.names}
    assert left_out == {
        "train": {"image_unlabelled": ["images/train/a.jpg"]},
        "val": {"image_unlabelled": ["images/validation/d.png"]},
    }
