"""Proposed corrections: read again, the copies have the corrected labels, and all else of the files as it was."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import labelstudio_exports as ls
import numpy as np
import pytest
from factories import write_json, write_picture
from labelme_files import png, shape, write_labels

from instseg.core.masks import bitmask_to_rle, rle_to_bitmask
from instseg.core.prediction_mark import DIGEST
from instseg.data.formats.coco.reader import CocoReader
from instseg.data.formats.corrections import propose, propose_as_coco
from instseg.data.formats.labelme.reader import LabelmeReader
from instseg.data.formats.labelstudio.reader import LabelStudioReader
from instseg.data.formats.yolo.reader import YoloReader
from instseg.data.reading.coco_text import whole
from instseg.data.reading.corrections import Correction, Label, mask_of
from instseg.data.reading.findings import Findings

SIZE = (12, 16)


def box(x1, y1, x2, y2):
    mask = np.zeros(SIZE, np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


def points(x1, y1, x2, y2):
    return [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]


def label(category, mask):
    return Label(category, bitmask_to_rle(mask))


CAR, DOG, TREE, GROWN, NEW = (1, 1, 5, 5), (7, 1, 11, 6), (1, 7, 6, 11), (6, 1, 12, 7), (9, 8, 15, 11)
AS_LABELLED = [("car", CAR), ("dog", DOG), ("tree", TREE)]
CORRECTIONS = [
    Correction(label("car", box(*CAR)), label("bus", box(*CAR))),
    Correction(label("dog", box(*DOG)), label("dog", box(*GROWN))),
    Correction(label("tree", box(*TREE)), None),
    Correction(None, label("car", box(*NEW))),
]
AS_CORRECTED = {("bus", CAR), ("dog", GROWN), ("car", NEW)}


def labels_in(reader):
    """Image -> its labels, as category and box of pixels."""
    found = {}
    for part in reader.read(defaultdict(Findings)).values():
        names = {category["id"]: category["name"] for category in part.coco["categories"]}
        for image in part.coco["images"]:
            of_image = [one for one in part.coco["annotations"] if one["image_id"] == image["id"]]
            found[image["file_name"]] = {(names[one["category_id"]], _box(one)) for one in of_image}
    return found


def _box(annotation):
    mask = rle_to_bitmask(mask_of(whole(annotation), SIZE))
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    return tuple(int(v) for v in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))


def coco_of(**more):
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": number,
            "iscrowd": 0,
            "segmentation": [np.array(points(*corners), float).reshape(-1).tolist()],
            "attributes": {"by": "Ann"},
        }
        for number, (_, corners) in enumerate(AS_LABELLED, start=1)
    ]
    images = [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1], "license": 3}]
    images += [{"id": 2, "file_name": "b.png", "height": SIZE[0], "width": SIZE[1]}]
    annotations.append({**annotations[0], "id": 9, "image_id": 2})
    names = ["car", "dog", "tree", "bus"]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories, "licenses": ["CC0"], **more}


def coco_folder(root, **more):
    for name in ("a.png", "b.png"):
        write_picture(root / name, SIZE)
    write_json(root / "labels.json", coco_of(**more))
    return CocoReader(root)


def read_again(reader, proposals):
    """Labels as they are once the proposals are copied over."""
    for file in proposals.files:
        (reader.root / file.relative_to(file.parents[0])).write_bytes(file.read_bytes())
    return labels_in(reader)


def test_coco_is_corrected(tmp_path):
    reader = coco_folder(tmp_path / "labels")
    before = (tmp_path / "labels/labels.json").read_bytes()
    proposed = propose(reader, {tmp_path / "labels/a.png": CORRECTIONS}, tmp_path / "proposals")
    assert proposed.num_placed == 4 and proposed.files == [tmp_path / "proposals/labels.json"]
    assert (tmp_path / "labels/labels.json").read_bytes() == before
    assert read_again(reader, proposed) == {"a.png": AS_CORRECTED, "b.png": {("car", CAR)}}


def test_all_else_of_a_coco_file_stays(tmp_path):
    reader = coco_folder(tmp_path / "labels")
    proposed = propose(reader, {tmp_path / "labels/a.png": CORRECTIONS}, tmp_path / "proposals")
    content, original = json.loads(proposed.files[0].read_text()), coco_of()
    assert {key: content[key] for key in ("images", "categories", "licenses")} == {
        key: original[key] for key in ("images", "categories", "licenses")
    }
    assert content["annotations"][0] == original["annotations"][0] | {"category_id": 4}
    assert content["annotations"][1]["attributes"] == {"by": "Ann"}
    assert original["annotations"][3] in content["annotations"]
    assert content["annotations"][-1]["id"] == 10


def test_ids_that_are_texts_and_a_category_that_is_not_listed(tmp_path):
    content = coco_of()
    for one in (*content["images"], *content["annotations"]):
        one["id"] = f"no {one['id']}"
    for one in content["annotations"]:
        one["image_id"] = f"no {one['image_id']}"
    content["categories"] = content["categories"][:3]
    reader = coco_folder(tmp_path / "labels", **content)
    proposed = propose(reader, {tmp_path / "labels/a.png": CORRECTIONS}, tmp_path / "proposals")
    assert read_again(reader, proposed)["a.png"] == AS_CORRECTED


def test_a_label_that_is_not_found_again_is_left_and_not_counted(tmp_path):
    reader = coco_folder(tmp_path / "labels")
    elsewhere = Correction(label("car", box(*NEW)), None)
    proposed = propose(reader, {tmp_path / "labels/a.png": [elsewhere]}, tmp_path / "proposals")
    assert proposed.num_placed == 0
    assert read_again(reader, proposed)["a.png"] == set(AS_LABELLED)


def labelme_folder(root, *more, **keys):
    shapes = [shape(name, points(*corners), description=f"a {name}") for name, corners in AS_LABELLED]
    write_labels(root, "a", *shapes, *more, **keys)
    write_labels(root, "b", shape("car", points(*CAR)))
    return LabelmeReader(root)


def test_labelme_is_corrected(tmp_path):
    reader = labelme_folder(tmp_path / "labels")
    proposed = propose(reader, {tmp_path / "labels/a.png": CORRECTIONS}, tmp_path / "proposals")
    assert proposed.num_placed == 4 and proposed.files == [tmp_path / "proposals/a.json"]
    assert read_again(reader, proposed) == {"a.png": AS_CORRECTED, "b.png": {("car", CAR)}}


def test_all_else_of_a_labelme_json_stays(tmp_path):
    note = shape("look here", [[1, 1]], "point")
    reader = labelme_folder(tmp_path / "labels", note, flags={"checked": True}, imageData=None)
    proposed = propose(reader, {tmp_path / "labels/a.png": CORRECTIONS}, tmp_path / "proposals")
    content = json.loads(proposed.files[0].read_text())
    original = json.loads((tmp_path / "labels/a.json").read_text())
    assert {**content, "shapes": 0} == {**original, "shapes": 0}
    assert content["shapes"][0] == original["shapes"][0] | {"label": "bus"}
    assert note in content["shapes"]
    redrawn = next(one for one in content["shapes"] if one["label"] == "dog")
    assert redrawn["description"] == "a dog"
    assert DIGEST not in content


def test_parts_of_a_group_and_a_mask_are_corrected_as_one_label(tmp_path):
    parts = [shape("pair", points(*corners), group_id=7) for corners in ((1, 1, 4, 5), (6, 1, 9, 5))]
    bitmap = shape("blob", [[10, 6], [13, 9]], "mask", mask=png(np.ones((4, 4))))
    write_labels(tmp_path / "labels", "a", *parts, bitmap)
    reader = LabelmeReader(tmp_path / "labels")
    both = box(1, 1, 4, 5) | box(6, 1, 9, 5)
    changes = [
        Correction(label("pair", both), label("car", both)),
        Correction(label("blob", box(10, 6, 14, 10)), label("blob", box(9, 6, 15, 11))),
    ]
    proposed = propose(reader, {tmp_path / "labels/a.png": changes}, tmp_path / "proposals")
    shapes = json.loads(proposed.files[0].read_text())["shapes"]
    assert [(one["label"], one["group_id"], one["shape_type"]) for one in shapes] == [
        ("car", 7, "polygon"),
        ("car", 7, "polygon"),
        ("blob", None, "polygon"),
    ]
    assert "mask" not in shapes[2]


def test_two_parts_are_written_as_one_group(tmp_path):
    reader = labelme_folder(tmp_path / "labels")
    added = Correction(None, label("car", box(7, 8, 9, 10) | box(12, 8, 14, 10)))
    proposed = propose(reader, {tmp_path / "labels/a.png": [added]}, tmp_path / "proposals")
    new = json.loads(proposed.files[0].read_text())["shapes"][-2:]
    assert [one["group_id"] for one in new] == [1, 1]


@pytest.mark.parametrize("name", ["train", "val"])
def test_labels_of_any_format_are_corrected_as_coco(tmp_path, name):
    root = tmp_path / "images"
    write_picture(root / "a.png", SIZE)
    prepared = write_json(tmp_path / f"{name}.json", coco_of(info={"image_root": str(root)}))
    proposed = propose_as_coco([prepared], {root / "a.png": CORRECTIONS}, tmp_path / "proposals")
    assert proposed.num_placed == 4
    part = CocoReader(tmp_path / "proposals").read(defaultdict(Findings))[name]
    assert part.image_root == Path(root)
    assert labels_in(CocoReader(tmp_path / "proposals"))["a.png"] == AS_CORRECTED


def percent(x1, y1, x2, y2):
    return [[100 * x / SIZE[1], 100 * y / SIZE[0]] for x, y in points(x1, y1, x2, y2)]


def result(category, corners, number):
    sized = {"original_width": SIZE[1], "original_height": SIZE[0]}
    return {**ls.polygon(category, percent(*corners)), "id": f"r{number}", "meta": {"text": ["note"]}, **sized}


def labelstudio_folder(root, results):
    more = {"type": "choices", "id": "r1", "from_name": "seen", "to_name": "img", "value": {"choices": ["clear"]}}
    skipped = ls.annotation(was_cancelled=True)
    tasks = [
        ls.task(skipped, ls.annotation(*results, more), photo="/data/upload/a.png"),
        ls.task(ls.annotation(result("car", CAR, 1)), task_id=2, photo="/data/upload/b.png"),
    ]
    for name in ("a.png", "b.png"):
        write_picture(root / name, SIZE)
    write_json(root / "project-1.json", tasks)
    return LabelStudioReader(root)


def test_label_studios_tasks_are_corrected_and_all_else_stays(tmp_path):
    labelled = [result(name, corners, number) for number, (name, corners) in enumerate(AS_LABELLED, start=1)]
    reader = labelstudio_folder(tmp_path / "labels", labelled)
    original = json.loads((tmp_path / "labels/project-1.json").read_text())
    proposed = propose(reader, {tmp_path / "labels/a.png": CORRECTIONS}, tmp_path / "proposals")
    content = json.loads(proposed.files[0].read_text())
    results = content[0]["annotations"][1]["result"]
    assert proposed.num_placed == 4
    assert content[1] == original[1] and content[0]["annotations"][0] == original[0]["annotations"][0]
    assert results[0]["value"]["points"] == labelled[0]["value"]["points"]
    assert results[0]["value"]["polygonlabels"] == ["bus"]
    assert results[1]["meta"] == {"text": ["note"]}
    assert original[0]["annotations"][1]["result"][-1] in results
    assert {one["from_name"] for one in results if one["type"] == "polygonlabels"} == {"label"}
    assert read_again(reader, proposed) == {"a.png": AS_CORRECTED, "b.png": {("car", CAR)}}


def test_brushes_and_boxes_of_label_studio_stay_what_they_are(tmp_path):
    sized = {"original_width": SIZE[1], "original_height": SIZE[0]}
    brush = {**ls.brush(box(*CAR)), "id": "r1", **sized}
    x, y = percent(*DOG)[0]
    sides = {"width": 100 * 4 / SIZE[1], "height": 100 * 5 / SIZE[0]}
    rectangle = {**ls.region("rectanglelabels", "dog", "r2", x=x, y=y, rotation=0, **sides), **sized}
    reader = labelstudio_folder(tmp_path / "labels", [brush, rectangle])
    changes = [Correction(label("car", box(*CAR)), label("car", box(*TREE))), CORRECTIONS[1]]
    proposed = propose(reader, {tmp_path / "labels/a.png": changes}, tmp_path / "proposals")
    results = json.loads(proposed.files[0].read_text())[0]["annotations"][1]["result"]
    assert [one["type"] for one in results] == ["brushlabels", "rectanglelabels", "choices"]
    assert read_again(reader, proposed)["a.png"] == {("car", TREE), ("dog", GROWN)}


def test_label_studios_coco_export_is_corrected(tmp_path):
    info = {"contributor": "Label Studio"}
    for name in ("a.png", "b.png"):
        write_picture(tmp_path / "labels" / name, SIZE)
    write_json(tmp_path / "labels/result.json", coco_of(info=info))
    reader = LabelStudioReader(tmp_path / "labels")
    proposed = propose(reader, {tmp_path / "labels/a.png": CORRECTIONS}, tmp_path / "proposals")
    assert proposed.num_placed == 4
    assert read_again(reader, proposed)["a.png"] == AS_CORRECTED


def test_json_min_is_left_to_coco(tmp_path):
    write_picture(tmp_path / "labels/a.png", SIZE)
    sized = {"original_width": SIZE[1], "original_height": SIZE[0]}
    shapes = [{"points": percent(*CAR), "closed": True, "polygonlabels": ["car"], **sized}]
    entry = {"id": 1, "image": "/data/upload/a.png", "label": shapes, "annotator": 1, "annotation_id": 1,
             "created_at": "", "updated_at": "", "lead_time": 1.0}  # fmt: skip
    write_json(tmp_path / "labels/project-1-min.json", [entry])
    reader = LabelStudioReader(tmp_path / "labels")
    assert propose(reader, {tmp_path / "labels/a.png": CORRECTIONS[:1]}, tmp_path / "proposals") is None


def yolo_folder(root, *rows):
    for name in ("a", "b"):
        write_picture(root / f"images/train/{name}.png", SIZE)
        (root / "labels/train").mkdir(parents=True, exist_ok=True)
        (root / f"labels/train/{name}.txt").write_text("\n".join(rows) + "\n")
    (root / "data.yaml").write_text("train: images/train\nval: images/train\nnames: [car, dog, tree, bus]\n")
    return YoloReader(root)


def yolo_row(number, corners):
    return " ".join([str(number), *(f"{value / 100:.6f}" for pair in percent(*corners) for value in pair)])


def test_yolo_rows_are_corrected_and_others_stay_as_they_are(tmp_path):
    rows = [yolo_row(number, corners) for number, (_, corners) in enumerate(AS_LABELLED)]
    odd = "7 no row"
    reader = yolo_folder(tmp_path / "labels", odd, *rows)
    proposed = propose(reader, {tmp_path / "labels/images/train/a.png": CORRECTIONS}, tmp_path / "proposals")
    assert proposed.num_placed == 4 and proposed.files == [tmp_path / "proposals/labels/train/a.txt"]
    written = proposed.files[0].read_text().splitlines()
    assert written[0] == odd and written[1] == "3" + rows[0][1:] and len(written) == 4
    (tmp_path / "labels/labels/train/a.txt").write_bytes(proposed.files[0].read_bytes())
    found = labels_in(reader)
    assert next(boxes for name, boxes in found.items() if name.endswith("a.png")) == AS_CORRECTED
    assert next(boxes for name, boxes in found.items() if name.endswith("b.png")) == set(AS_LABELLED)


def test_a_box_of_yolo_stays_a_box_and_a_category_without_a_class_is_not_written(tmp_path):
    x, y = (DOG[0] + DOG[2]) / 2 / SIZE[1], (DOG[1] + DOG[3]) / 2 / SIZE[0]
    reader = yolo_folder(tmp_path / "labels", f"1 {x} {y} {4 / SIZE[1]} {5 / SIZE[0]}")
    changes = [CORRECTIONS[1], Correction(None, label("zebra", box(*NEW)))]
    proposed = propose(reader, {tmp_path / "labels/images/train/a.png": changes}, tmp_path / "proposals")
    assert proposed.num_placed == 1
    assert [len(line.split()) for line in proposed.files[0].read_text().splitlines()] == [5]
