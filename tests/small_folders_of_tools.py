"""Small whole folders of the other formats, as ``small_folders`` has them."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import yaml
from factories import write_json
from labelme_files import png
from mask_pictures import write_mask
from small_folders import BLOB, MAKERS, NAMES, SIZE, TWO, Maker, photos

# ---- cvat


def cvat_xml(root: Path) -> int:
    photos(root / "images", *(f"{name}.png" for name in NAMES))
    triangle, box = "2.0,2.0;9.0,2.0;9.0,9.0", 'xtl="3" ytl="4" xbr="9" ybr="9" rotation="10"'
    part = f'<polygon label="car" points="{triangle}" group_id="1"/>'
    shapes = (
        f"{part}{part}"
        f'<box label="dog" {box}/><ellipse label="dog" cx="8" cy="6" rx="3" ry="2"/><points label="dog" points="1,1"/>'
        '<mask label="car" rle="1, 2, 3, 3" left="4" top="3" width="3" height="3"/>'
    )
    images = (f'<image name="{name}.png" width="16" height="12">{shapes}</image>' for name in NAMES)
    (root / "annotations.xml").write_text(f"<annotations><version>1.1</version>{''.join(images)}</annotations>")
    return 16


# ---- supervisely, darwin, datumaro

RECTANGLE = [[2, 2], [9, 2], [9, 9], [2, 9]]
TRIANGLE = [[4, 4], [7, 4], [7, 7]]


def supervisely_project(root: Path) -> int:
    photos(root, *(f"ds/img/{name}.png" for name in NAMES))
    bitmap = {"data": base64.b64encode(zlib.compress(base64.b64decode(png(BLOB)))).decode(), "origin": [1, 1]}
    objects = [
        {"classTitle": "car", "geometryType": "polygon", "points": {"exterior": RECTANGLE, "interior": [TRIANGLE]}},
        {"classTitle": "dog", "geometryType": "rectangle", "points": {"exterior": [[3, 3], [9, 9]], "interior": []}},
        {"classTitle": "dog", "geometryType": "bitmap", "bitmap": bitmap},
        {"classTitle": "dog", "geometryType": "point", "points": {"exterior": [[3, 3]], "interior": []}},
    ]
    write_json(root / "meta.json", {"classes": [{"title": "car"}, {"title": "dog"}], "tags": []})
    for name in NAMES:
        size = {"height": SIZE[0], "width": SIZE[1]}
        write_json(root / f"ds/ann/{name}.png.json", {"description": "", "tags": [], "size": size, "objects": objects})
    return 12


def darwin_json(root: Path) -> int:
    photos(root, *(f"images/{name}.png" for name in NAMES))
    paths = [[dict(zip("xy", point, strict=True)) for point in path] for path in (RECTANGLE, TRIANGLE)]
    layer = {"dense_rle": [0, 20, 1, 4, 0, 168], "mask_annotation_ids_mapping": {"c": 1}}
    annotations = [
        {"id": "a", "name": "car", "polygon": {"paths": paths}, "bounding_box": {"x": 2, "y": 2, "w": 7, "h": 7}},
        {"id": "b", "name": "dog", "bounding_box": {"x": 3, "y": 3, "w": 6, "h": 5}},
        {"id": "c", "name": "dog", "mask": {"sparse_rle": None}},
        {
            "id": "d",
            "name": "",
            "raster_layer": layer,
        },
        {"id": "e", "name": "dog", "keypoint": {"x": 3, "y": 3}},
    ]
    for name in NAMES:
        slots = [{"type": "image", "slot_name": "0", "width": SIZE[1], "height": SIZE[0]}]
        item = {"name": f"{name}.png", "path": "/", "slots": slots}
        write_json(root / f"annotations/{name}.json", {"version": "2.0", "item": item, "annotations": annotations})
    return 12


def datumaro_subsets(root: Path) -> int:
    labels = {"label": {"labels": [{"name": "car", "parent": ""}, {"name": "dog", "parent": ""}]}}
    flat = [number for point in RECTANGLE for number in point]
    annotations = [
        {"type": "polygon", "label_id": 0, "group": 1, "points": flat},
        {"type": "bbox", "label_id": 0, "group": 1, "bbox": [9, 2, 3, 3]},
        {"type": "bbox", "label_id": 1, "group": 0, "bbox": [3, 3, 6, 5]},
        {"type": "mask", "label_id": 1, "group": 0, "rle": {"size": list(SIZE), "counts": [30, 5, 157]}},
        {"type": "points", "label_id": 1, "group": 0, "points": [1, 1]},
    ]
    for subset, names in (("train", NAMES), ("val", ("e", "f"))):
        photos(root / f"images/{subset}", *(f"{name}.png" for name in names))
        items = [
            {"id": name, "annotations": annotations, "image": {"path": f"{name}.png", "size": list(SIZE)}}
            for name in names
        ]
        write_json(root / f"annotations/{subset}.json", {"info": {}, "categories": labels, "items": items})
    return 18


# ---- panoptic


def panoptic_things(root: Path) -> int:
    photos(root / "train", *(f"{name}.png" for name in NAMES))
    ids = np.array([0, 7, 256 + 3], np.int64)[np.where(TWO == 255, 0, TWO)]
    colours = np.stack([ids % 256, ids // 256, ids * 0], axis=2).astype(np.uint8)
    segments = [{"id": 7, "category_id": 1, "iscrowd": 0}, {"id": 259, "category_id": 2, "iscrowd": 0}]
    categories = [{"id": n, "name": name, "isthing": 1} for n, name in ((1, "car"), (2, "dog"))]
    images, annotations = [], []
    for number, name in enumerate(NAMES):
        write_mask(root / f"annotations/panoptic_train/{name}.png", colours)
        images.append({"id": number, "file_name": f"{name}.png", "height": SIZE[0], "width": SIZE[1]})
        annotations.append({"image_id": number, "file_name": f"{name}.png", "segments_info": segments})
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_json(root / "annotations/panoptic_train.json", content)
    return 8


# ---- imagefolder


def _objects() -> dict[str, Any]:
    flat = [number for point in RECTANGLE for number in point]
    return {"bbox": [[2, 2, 7, 7], [3, 3, 6, 5]], "category": [0, 1], "segmentation": [[flat], []]}


def imagefolder_lines(root: Path) -> int:
    for split, names in (("train", NAMES), ("test", ("e", "f"))):
        photos(root / split, *(f"{name}.png" for name in names))
        lines = (json.dumps({"file_name": f"{name}.png", "objects": _objects()}) for name in names)
        (root / split / "metadata.jsonl").write_text("\n".join(lines))
    names = {
        "dataset_info": {
            "features": [{"name": "objects", "dtype": {"class_label": {"names": {"0": "car", "1": "dog"}}}}]
        }
    }
    (root / "README.md").write_text(f"---\n{yaml.safe_dump(names)}---\n# Photos\n")
    return 12


def imagefolder_parquet(root: Path) -> int:
    photos(root / "x", *(f"{name}.png" for name in NAMES))
    images = [{"bytes": (root / f"x/{name}.png").read_bytes(), "path": f"{name}.png"} for name in NAMES]
    shutil.rmtree(root / "x")
    rows = [{"image": image, "width": SIZE[1], "height": SIZE[0], "objects": _objects()} for image in images]
    features = {"objects": {"category": {"feature": {"names": ["car", "dog"], "_type": "ClassLabel"}}}}
    table = pyarrow.Table.from_pylist(rows)
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    (root / "data").mkdir(parents=True)
    pyarrow.parquet.write_table(table, root / "data/train-00000-of-00001.parquet")
    return 8


ALL_MAKERS: dict[str, tuple[Maker, ...]] = MAKERS | {
    "cvat": (cvat_xml,),
    "supervisely": (supervisely_project,),
    "darwin": (darwin_json,),
    "datumaro": (datumaro_subsets,),
    "panoptic": (panoptic_things,),
    "imagefolder": (imagefolder_lines, imagefolder_parquet),
}
