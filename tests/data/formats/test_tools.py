"""Formats of further tools: each shape becomes the area that was drawn, and what is no instance is named."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import write_json, write_picture
from labelme_files import png
from mask_pictures import as_bitmask, write_mask
from reading import read_labels
from small_folders_of_tools import ALL_MAKERS

from instseg.core.errors import InstsegError
from instseg.core.files import mark_as_cache
from instseg.core.masks import polygon_area
from instseg.data.formats.auto import FORMATS, recognise_format
from instseg.data.formats.cvat.reader import CvatReader
from instseg.data.formats.datumaro.reader import DatumaroReader

SIZE = (20, 30)
SQUARE = [[2, 2], [12, 2], [12, 12], [2, 12]]
INNER = [[4, 4], [8, 4], [8, 8], [4, 8]]
FLAT = [number for point in SQUARE for number in point]


def read(root: Path, name: str) -> tuple[list[tuple[str, float]], dict[str, list[str]], list[str]]:
    """Category and area of each instance, the findings, and the splits; the format is recognised."""
    assert recognise_format(root)[0] == name
    labels, findings = read_labels(FORMATS[name][1](root))
    found = []
    for part in labels.values():
        names = {category["id"]: category["name"] for category in part.coco["categories"]}
        found += [(names[a["category_id"]], _area(a)) for a in part.coco["annotations"]]
        assert all((part.image_root / image["file_name"]).is_file() for image in part.coco["images"])
    return found, findings, list(labels)


def _area(annotation: Any) -> float:
    shape = annotation["segmentation"]
    if isinstance(shape, dict):
        return float(as_bitmask(shape).sum())
    if not shape:
        return annotation["bbox"][2] * annotation["bbox"][3]
    return round(sum(polygon_area(np.reshape(part, (-1, 2))) for part in shape), 3)


# ---- cvat


def write_cvat(root: Path, *shapes: str, subset: str = "", head: str = "") -> None:
    write_picture(root / "images/a.png", SIZE)
    image = f'<image id="0" name="a.png" subset="{subset}" width="30" height="20">{"".join(shapes)}</image>'
    (root / "annotations.xml").write_text(f"{head}<annotations><version>1.1</version>{image}</annotations>")


POINTS = ";".join(f"{x},{y}" for x, y in SQUARE)


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        (f'<polygon label="car" points="{POINTS}"/>', 100),
        ('<box label="car" xtl="2" ytl="2" xbr="12" ybr="7"/>', 50),
        ('<box label="car" xtl="12" ytl="7" xbr="2" ybr="2"/>', 50),
        ('<box label="car" xtl="2" ytl="2" xbr="12" ybr="7" rotation="90"/>', 50),
        ('<mask label="car" rle="0, 4" left="3" top="4" width="2" height="2"/>', 4),
        ('<mask label="car" rle="1, 2, 1" left="28" top="18" width="2" height="2"/>', 2),
        ('<mask label="car" rle="0, 16" left="-2" top="18" width="4" height="4"/>', 4),
    ],
)
def test_cvat_shapes(tmp_path, shape, area):
    write_cvat(tmp_path, shape)
    assert read(tmp_path, "cvat")[0] == [("car", area)]


def test_cvat_s_masks_are_counted_row_by_row(tmp_path):
    write_cvat(tmp_path, '<mask label="car" rle="1, 3, 2" left="5" top="6" width="3" height="2"/>')
    labels, _ = read_labels(CvatReader(tmp_path))
    mask = as_bitmask(labels["all"].coco["annotations"][0]["segmentation"])
    assert np.argwhere(mask).tolist() == [[6, 6], [6, 7], [7, 5]]


def test_cvat_groups_are_instances_and_what_is_none_is_named(tmp_path):
    part = f'<polygon label="car" points="{POINTS}" group_id="3"/>'
    broken = '<mask label="car" rle="9" left="0" top="0" width="2" height="2"/><polygon label="car" points="1,1;2"/>'
    write_cvat(tmp_path, part, part, broken, '<points label="dog" points="1,1"/>', '<box label=" "/>', subset="Train")
    found, findings, splits = read(tmp_path, "cvat")
    assert found == [("car", 200)] and splits == ["train"]
    assert {kind: len(names) for kind, names in findings.items()} == {
        "shape_invalid": 2,
        "shape_open": 1,
        "category_missing": 1,
    }


def test_cvat_xml_with_a_document_type_or_with_tracks_is_refused(tmp_path):
    write_cvat(tmp_path, head="<!DOCTYPE x [<!ENTITY a 'b'>]>")
    with pytest.raises(InstsegError, match="document type"):
        read_labels(CvatReader(tmp_path))
    (tmp_path / "annotations.xml").write_text('<annotations><track id="0"/></annotations>')
    with pytest.raises(InstsegError, match=r"'CVAT for video' .tracks.: export it as 'CVAT for images 1.1'"):
        read_labels(CvatReader(tmp_path))


def test_cvat_groups_that_are_the_number_of_the_label_are_told_and_can_be_ignored(tmp_path):
    shapes = [f'<polygon label="{label}" points="{POINTS}" group_id="{n}"/>' for label, n in (("car", 1), ("dog", 2))]
    for folder in ("a", "b"):
        write_cvat(tmp_path / folder, shapes[0], shapes[0], shapes[1])
    labels, findings = read_labels(CvatReader(tmp_path))
    assert len(labels["all"].coco["annotations"]) == 4 and len(findings["groups_alike"]) == 2
    assert "(dataset=cvat dataset.groups=ignore " in findings["groups_alike"][0]
    labels, findings = read_labels(CvatReader(tmp_path, groups="ignore"))
    assert len(labels["all"].coco["annotations"]) == 6 and findings == {}


# ---- supervisely


def supervisely(kind: str, label: Any = "car", **more: Any) -> dict[str, Any]:
    return {"classTitle": label, "geometryType": kind, **more}


def write_supervisely(root: Path, *objects: Any, dataset: str = "ds0", **more: Any) -> None:
    write_picture(root / dataset / "img/a.jpg", SIZE)
    size = {"height": SIZE[0], "width": SIZE[1]}
    write_json(root / dataset / "ann/a.jpg.json", {"tags": [], "size": size, "objects": list(objects), **more})


def test_supervisely_shapes(tmp_path):
    mask = base64.b64encode(zlib.compress(base64.b64decode(png(np.ones((3, 4)))))).decode()
    write_supervisely(
        tmp_path,
        supervisely("polygon", points={"exterior": SQUARE, "interior": [INNER]}),
        supervisely("rectangle", points={"exterior": [[9, 8], [3, 3]], "interior": []}),
        supervisely("bitmap", bitmap={"data": mask, "origin": [28, 1]}),
        supervisely("point", points={"exterior": [[9, 8]]}),
        supervisely("bitmap", bitmap={"data": "x", "origin": [0, 0]}),
        supervisely("polygon", label=None),
        dataset="train",
    )
    found, findings, splits = read(tmp_path, "supervisely")
    assert found == [("car", 84), ("car", 30), ("car", 6)] and splits == ["train"]
    assert sorted(findings) == ["category_missing", "shape_invalid", "shape_open"]


def test_a_tag_of_supervisely_may_name_the_split(tmp_path):
    write_supervisely(tmp_path, supervisely("polygon", points={"exterior": SQUARE}), tags=[{"name": "val"}])
    assert read(tmp_path, "supervisely")[2] == ["val"]


# ---- darwin


def path_of(points: list[list[int]]) -> list[dict[str, int]]:
    return [{"x": x, "y": y} for x, y in points]


def test_darwin_shapes(tmp_path):
    layer = {"dense_rle": [0, 10, 1, 5, 0, 585], "mask_annotation_ids_mapping": {"m": 1}}
    annotations = [
        {"id": "1", "name": "car", "polygon": {"paths": [path_of(SQUARE), path_of(INNER)]}},
        {"id": "2", "name": "car", "polygon": {"path": path_of(SQUARE)}},
        {"id": "3", "name": "dog", "bounding_box": {"x": 1, "y": 1, "w": 3, "h": 4}},
        {"id": "m", "name": "dog", "mask": {}},
        {"id": "4", "name": "", "raster_layer": layer},
        {"id": "5", "name": "dog", "line": {"path": path_of(SQUARE)}},
        {"id": "6", "name": "dog", "polygon": {"path": [{"x": 1}]}},
        {"id": "7", "name": "blurred", "tag": {}},
    ]
    write_picture(tmp_path / "images/a.png", SIZE)
    item = {"name": "a.png", "path": "/", "slots": [{"width": 30, "height": 20}]}
    write_json(tmp_path / "annotations/a.json", {"version": "2.0", "item": item, "annotations": annotations})
    found, findings, _ = read(tmp_path, "darwin")
    assert found == [("car", 84), ("car", 100), ("dog", 12), ("dog", 5)]
    assert sorted(findings) == ["shape_invalid", "shape_open"]


# ---- datumaro


def test_datumaro_shapes_and_groups(tmp_path):
    annotations = [
        {"type": "polygon", "label_id": 0, "group": 0, "points": FLAT},
        {"type": "polygon", "label_id": 0, "group": 4, "points": FLAT},
        {"type": "mask", "label_id": 0, "group": 4, "rle": {"size": list(SIZE), "counts": [0, 3, 597]}},
        {"type": "bbox", "label_id": 1, "group": 0, "bbox": [1, 1, 3, 4]},
        {"type": "label", "label_id": 1},
        {"type": "points", "label_id": 1, "points": [1, 1]},
        {"type": "polygon", "label_id": 7, "points": FLAT},
        {"type": "mask", "label_id": 1, "rle": {"size": [1, 1]}},
    ]
    write_picture(tmp_path / "images/default/a.png", SIZE)
    item = {"id": "a", "annotations": annotations, "image": {"path": "a.png", "size": list(SIZE)}}
    categories = {"label": {"labels": [{"name": "car"}, {"name": "dog"}]}}
    write_json(tmp_path / "annotations/default.json", {"info": {}, "categories": categories, "items": [item, 3]})
    found, findings, splits = read(tmp_path, "datumaro")
    assert found == [("car", 100), ("car", 103), ("dog", 12)] and splits == ["all"]
    assert sorted(findings) == ["category_missing", "label_invalid", "shape_invalid", "shape_open"]


def test_datumaro_annotations_that_all_have_one_group_are_told_and_can_be_ignored(tmp_path):
    shapes = [{"type": "polygon", "label_id": 0, "group": 1, "points": FLAT}] * 2
    items = [{"id": n, "annotations": shapes, "image": {"path": f"{n}.png", "size": list(SIZE)}} for n in "ab"]
    categories = {"label": {"labels": [{"name": "car"}]}}
    write_json(tmp_path / "annotations/default.json", {"info": {}, "categories": categories, "items": items})
    labels, findings = read_labels(DatumaroReader(tmp_path))
    assert len(labels["all"].coco["annotations"]) == 2 and len(findings["groups_alike"]) == 2
    labels, findings = read_labels(DatumaroReader(tmp_path, groups="ignore"))
    assert len(labels["all"].coco["annotations"]) == 4 and findings == {}


# ---- panoptic


def test_panoptic_things_are_instances_and_stuff_is_not(tmp_path):
    colours = np.zeros((*SIZE, 3), np.uint8)
    colours[:2], colours[5:9, 5:9], colours[12:14, 5:9] = (1, 0, 0), (0, 1, 0), (2, 0, 1)
    write_mask(tmp_path / "panoptic_val/a.png", colours)
    write_picture(tmp_path / "val/a.jpg", SIZE)
    segments = [
        {"id": 1, "category_id": 9},
        {"id": 256, "category_id": 3},
        {"id": 2 + 65536, "category_id": 3, "iscrowd": 1},
        {"id": 77, "category_id": 3},
        {"id": 1, "category_id": 5},
    ]
    content = {
        "images": [{"id": 4, "file_name": "a.jpg", "height": 20, "width": 30}],
        "annotations": [{"image_id": 4, "file_name": "a.png", "segments_info": segments}],
        "categories": [{"id": 9, "name": "sky", "isthing": 0}, {"id": 3, "name": "car", "isthing": 1}],
    }
    write_json(tmp_path / "annotations/panoptic_val.json", content)
    found, findings, splits = read(tmp_path, "panoptic")
    assert found == [("car", 16), ("car", 8)] and splits == ["val"]
    assert sorted(findings) == ["category_unknown", "shape_degenerate"]


# ---- recognised by name alone


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"gtFine/train/a/x_gtFine_polygons.json": "{}", "leftImg8bit/train/a/x.png": ""}, "Cityscapes"),
        (
            {f"{folder}/{n}/000000.png": "" for folder in ("instances", "training/image_02") for n in ("0000", "0001")},
            "KITTI",
        ),
        ({"sa_1.json": '{"image": {"image_id": 1}, "annotations": [{"predicted_iou": 1}]}'}, "SA-1B"),
        ({"samples.json": '{"samples": []}', "metadata.json": '{"media_type": "image", "info": {}}'}, "FiftyOne"),
        ({"annotations/a.json": '{"metadata": {}, "instances": [], "tags": []}'}, "SuperAnnotate"),
        ({"a.xml": "<annotation><object><polygon><pt><x>1</x></pt></polygon></object></annotation>"}, "LabelMe's web"),
        ({"export.ndjson": '{"data_row": {"id": 1}}'}, "Labelbox"),
        ({"a.manifest": '{"source-ref": "s3://x"}'}, "SageMaker"),
        ({"train.csv": "ImageId,EncodedPixels\n1,2 3\n"}, "Kaggle"),
        ({"data.tfrecord": "x"}, "TFRecord"),
        ({"labels.json": '[{"name": "a", "labels": [{"poly2d": []}]}]'}, "BDD100K"),
        ({"results.json": '[{"image_id": 1, "category_id": 1, "score": 0.5}]'}, "COCO results"),
        ({"annotations/captions_train2017.json": '{"images": []}'}, "COCO without instances"),
    ],
)
def test_a_format_that_is_not_read_is_called_by_its_name_with_the_way_out(tmp_path, files, name):
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    with pytest.raises(InstsegError, match=rf"its labels are of {name}.*: \w+"):
        recognise_format(tmp_path)


def test_json_of_nothing_known_has_no_name(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"hello": 1}))
    with pytest.raises(InstsegError, match="no labels found in any known format"):
        recognise_format(tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_a_cache_within_the_folder_of_the_labels_does_not_change_what_they_are(name, tmp_path):
    ALL_MAKERS[name][0](tmp_path)
    mark_as_cache(tmp_path / "data/index")
    for number in range(30):
        (tmp_path / f"data/index/{number}.json").write_text('{"images": [], "annotations": [], "categories": []}')
    assert recognise_format(tmp_path)[0] == name
