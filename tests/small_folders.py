"""A small whole folder in each label format, in several layouts of each: what fuzzing starts from.

Every maker writes four to six photos, no two alike, and returns how many instances its labels have.
"""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from factories import drawn, write_coco_folder, write_json, write_picture
from labelme_files import SIZE as LABELME_SIZE
from labelme_files import jpeg, png, shape, write_labels
from labelstudio_exports import SIZE as STUDIO_SIZE
from labelstudio_exports import annotation, brush, polygon, region, task
from mask_pictures import VOC_PALETTE, numbered, write_mask
from voc_files import write_xml

from instseg.data.reading.image_files import IMAGE_EXTENSIONS
from instseg.data.splits.select import select_images

Maker = Callable[[Path], int]
NAMES = ("a", "b", "c", "d")
SIZE = (12, 16)
OBJECTS = ("car", (1, 1, 8, 6)), ("dog", (9, 4, 16, 12))
TWO = np.kron(numbered("11..", "11#2", "..22"), np.ones((4, 4), np.uint8))
BLOB = drawn("....", ".##.", "..#.").repeat(4, 0).repeat(4, 1)


def photos(root: Path, *files: str, size: tuple[int, int] = SIZE) -> None:
    for seed, file in enumerate(files):
        write_picture(root / file, size, seed)


# ---- coco


def coco_splits(root: Path) -> int:
    write_coco_folder(root)
    return 8


def coco_fiftyone(root: Path) -> int:
    write_coco_folder(root, {"train": 4})
    (root / "train").rename(root / "data")
    (root / "annotations/instances_train.json").rename(root / "labels.json")
    (root / "annotations").rmdir()
    return 5


def coco_roboflow(root: Path) -> int:
    write_coco_folder(root, {"train": 4, "valid": 3}, extension=".jpg")
    for split in ("train", "valid"):
        (root / f"annotations/instances_{split}.json").rename(root / split / "_annotations.coco.json")
    (root / "annotations").rmdir()
    return 10


# ---- labelme


def _shapes() -> list[dict[str, Any]]:
    """Four instances: two of the shapes are one."""
    return [
        *(shape("car", group_id=1), shape("car", [[10, 2], [14, 2], [12, 6]], group_id=1)),
        shape("dog", [[3, 4], [9, 9]], "rectangle"),
        shape("dog", [[8, 6], [11, 6]], "circle"),
        shape("car", [[2, 3], [5, 5]], "mask", mask=png(np.ones((3, 4)))),
    ]


def labelme_beside(root: Path) -> int:
    for name in NAMES:
        write_labels(root, name, *_shapes(), photo=None)
    photos(root, *(f"{name}.png" for name in NAMES), size=LABELME_SIZE)
    return 16


def labelme_splits(root: Path) -> int:
    for number, name in enumerate(NAMES):
        split = "train" if number < 3 else "val"
        write_labels(root, f"{split}/json/{name}", *_shapes(), photo=None, imagePath=f"..\\pic\\{name}.jpg")
        write_picture(root / split / f"pic/{name}.jpg", LABELME_SIZE, number)
    return 16


def labelme_embedded(root: Path) -> int:
    labelme_beside(root)
    write_labels(root, "e", *_shapes(), photo=None, imageData=jpeg())
    return 20


# ---- labelstudio


def _tasks() -> list[dict[str, Any]]:
    """Four photos with three instances each."""
    results = [
        {**polygon(), "id": "p"},
        region("rectanglelabels", "dog", "b", x=60, y=10, width=30, height=40),
        region("ellipselabels", "car", "e", x=30, y=75, radiusX=12, radiusY=15),
    ]
    photos = (f"/data/upload/3/fb26c02b-{name}.png" for name in NAMES)
    return [task(annotation(*results), task_id=number, photo=photo) for number, photo in enumerate(photos)]


def labelstudio_tasks(root: Path) -> int:
    photos(root, *(f"images/{name}.png" for name in NAMES), size=STUDIO_SIZE)
    write_picture(root / "images/e.png", STUDIO_SIZE, 4)
    mask = np.zeros(STUDIO_SIZE, np.uint8)
    mask[3:9, 5:20] = 1
    write_json(root / "project-1.json", [*_tasks(), task(brush(mask), task_id=9, photo="/data/upload/3/e.png")])
    return 13


def labelstudio_min(root: Path) -> int:
    photos(root, *(f"fb26c02b-{name}.png" for name in NAMES), size=STUDIO_SIZE)
    height, width = STUDIO_SIZE
    entries = []
    for one in _tasks():
        values = [
            {**r["value"], "original_width": width, "original_height": height} for r in one["annotations"][0]["result"]
        ]
        entries.append(
            {"id": one["id"], "image": one["data"]["image"], "label": values, "annotation_id": 1, "lead_time": 2}
        )
    write_json(root / "project-2.json", entries)
    return 12


def labelstudio_coco(root: Path) -> int:
    photos(root, *(f"images/fb26c02b-{name}.png" for name in NAMES), size=STUDIO_SIZE)
    size = {"height": STUDIO_SIZE[0], "width": STUDIO_SIZE[1]}
    images = [{"id": n, "file_name": f"images\\fb26c02b-{name}.png", **size} for n, name in enumerate(NAMES)]
    outline = {"category_id": 0, "segmentation": [[4, 2, 20, 2, 20, 12]], "bbox": [4, 2, 16, 10], "area": 80.0}
    box = {"category_id": 1, "segmentation": [], "bbox": [-0.5, 4, 9, 9], "area": 81.0, "ignore": 0}
    annotations = [
        {"id": 2 * n + k, "image_id": n, "iscrowd": 0, **entry}
        for n in range(4)
        for k, entry in enumerate((outline, box))
    ]
    categories = [{"id": 0, "name": "car"}, {"id": 1, "name": "dog"}]
    info = {"contributor": "Label Studio", "year": 2024}
    write_json(
        root / "result.json", {"images": images, "annotations": annotations, "categories": categories, "info": info}
    )
    return 8


# ---- openimages

CAT, DOG = "/m/01yrx", "/m/0bt9lr"
MASK_HEADER = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"
BOX_HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction"


def _table(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def openimages_masks(root: Path) -> int:
    for split, names in (("train", NAMES), ("validation", ("e", "f"))):
        photos(root / "images" / split, *(f"{name}0.png" for name in names))
        rows = []
        for number, name in enumerate(names):
            for label in (CAT, DOG):
                mask = f"{name}0_{label[1:].replace('/', '')}_{number:08x}.png"
                write_mask(root / "masks" / split / mask, BLOB.astype(bool))
                rows.append(f"{mask},{name}0,{label},{number:08x},0.1,0.9,0.1,0.9,0.8,")
        _table(root / f"annotations/{split}-annotations-object-segmentation.csv", MASK_HEADER, *rows)
    names = ("LabelName,DisplayName", f"{CAT},Cat", f"{DOG},Dog")
    _table(root / "annotations/oidv7-class-descriptions-boxable.csv", *names)
    return 12


def openimages_without_tables(root: Path) -> int:
    openimages_masks(root)
    shutil.rmtree(root / "annotations")
    return 12


def openimages_boxes(root: Path) -> int:
    photos(root / "images", *(f"{name}0.jpg" for name in NAMES))
    rows = [f"{name}0,xclick,{label},1,0.1,0.6,0.2,0.9,0,0,0,0" for name in NAMES for label in (CAT, DOG)]
    _table(root / "train-annotations-bbox.csv", BOX_HEADER, *rows)
    return 8


# ---- voc


def voc_lists(root: Path) -> int:
    photos(root / "JPEGImages", *(f"{name}.jpg" for name in NAMES))
    for name in NAMES:
        write_xml(root / f"Annotations/{name}.xml", *OBJECTS, name=f"{name}.jpg", size=SIZE)
    _table(root / "ImageSets/Main/train.txt", "a", "b", "c")
    _table(root / "ImageSets/Main/val.txt", "d  1")
    return 8


def voc_masks(root: Path) -> int:
    photos(root / "VOC2012/JPEGImages", *(f"{name}.png" for name in NAMES))
    for name in NAMES:
        write_xml(root / f"VOC2012/Annotations/{name}.xml", *OBJECTS, size=SIZE)
        write_mask(root / f"VOC2012/SegmentationObject/{name}.png", TWO, VOC_PALETTE)
        write_mask(root / f"VOC2012/SegmentationClass/{name}.png", TWO, VOC_PALETTE)
    return 8


def voc_beside(root: Path) -> int:
    outline = "<polygon><x1>1</x1><y1>1</y1><x2>9</x2><y2>1</y2><x3>9</x3><y3>9</y3></polygon>"
    for number, name in enumerate(NAMES):
        folder = root / ("train" if number < 3 else "test")
        write_picture(folder / f"{name}.png", SIZE, number)
        write_xml(folder / f"{name}.xml", ("car", (1, 1, 9, 9), outline), OBJECTS[1], size=SIZE)
    return 8


# ---- mask_folder


def masks_of_values(root: Path) -> int:
    photos(root / "images", *(f"{name}.jpg" for name in NAMES))
    for name in NAMES:
        write_mask(root / f"masks/{name}.png", TWO, VOC_PALETTE)
    return 8


def masks_of_instances(root: Path) -> int:
    for split, names in (("train", NAMES), ("val", ("e", "f"))):
        photos(root / split / "images", *(f"{name}.png" for name in names))
        for name in names:
            for number, category in enumerate(("car", "dog")):
                write_mask(root / split / f"masks/{name}/{category}_{number}.png", BLOB * np.uint8(255))
    return 12


def masks_listed(root: Path) -> int:
    photos(root / "photos", *(f"{name}.png" for name in NAMES))
    instances = [{"value": 1, "category": "car", "score": 0.9}, {"value": 2, "category": "dog"}]
    for name in NAMES:
        write_mask(root / f"masks/{name}.png", np.where(TWO == 255, 0, TWO).astype(np.uint8), VOC_PALETTE)
    listed = {f"{name}.png": {"mask": f"{name}.png", "instances": instances} for name in NAMES}
    write_json(root / "masks/masks.json", {"image_folder": "../photos", "images": listed})
    return 8


# ---- yolo

ROWS = "0 0.1 0.1 0.6 0.1 0.6 0.7\n1 0.7 0.6 0.3 0.4\n"


def yolo_yaml(root: Path) -> int:
    names = ("train/a", "train/b", "train/c", "val/d")
    photos(root / "images", *(f"{name}.jpg" for name in names))
    for name in names:
        _table(root / f"labels/{name}.txt", ROWS)
    content = {"path": ".", "train": "images/train", "val": ["images/val"], "nc": 2, "names": {0: "car", 1: "dog"}}
    (root / "data.yaml").write_text(yaml.safe_dump(content))
    return 8


def yolo_lists(root: Path) -> int:
    photos(root / "obj", *(f"{name}.png" for name in NAMES))
    for name in NAMES:
        _table(root / f"obj/{name}.txt", ROWS)
    _table(root / "train.txt", *(f"data/obj/{name}.png" for name in NAMES[:3]))
    _table(root / "val.txt", "./obj/d.png")
    (root / "data.yaml").write_text("train: train.txt\nval: val.txt\nnames: [car, dog]\n")
    return 8


def yolo_without_yaml(root: Path) -> int:
    photos(root / "images", *(f"{name}.jpg" for name in NAMES))
    for name in NAMES:
        _table(root / f"labels/{name}.txt", ROWS)
    _table(root / "classes.txt", "car", "dog")
    return 8


# ---- via

REGIONS = [
    {"name": "polygon", "all_points_x": [2, 9, 9], "all_points_y": [2, 2, 9]},
    {"name": "rect", "x": 3, "y": 4, "width": 6, "height": 5},
    {"name": "ellipse", "cx": 8, "cy": 6, "rx": 4, "ry": 3, "theta": 0.3},
]


def _via_entries(root: Path) -> dict[str, Any]:
    photos(root, *(f"{name}.png" for name in NAMES))
    entries = {}
    for name in NAMES:
        regions = [{"shape_attributes": one, "region_attributes": {"kind": "car"}} for one in REGIONS]
        size = (root / f"{name}.png").stat().st_size
        entries[f"{name}.png{size}"] = {
            "filename": f"{name}.png",
            "size": size,
            "regions": regions,
            "file_attributes": {},
        }
    return entries


def via_project(root: Path) -> int:
    declared = {"region": {"kind": {"type": "dropdown", "options": {"car": "", "dog": ""}}}}
    content = {"_via_settings": {"ui": {}}, "_via_img_metadata": _via_entries(root), "_via_attributes": declared}
    write_json(root / "via_project.json", content)
    return 12


def via_csv(root: Path) -> int:
    header = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    entries = _via_entries(root)
    with (root / "via.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(header.split(","))
        for entry in entries.values():
            for number, one in enumerate(entry["regions"]):
                cells = json.dumps(one["shape_attributes"]), json.dumps(one["region_attributes"])
                table.writerow([entry["filename"], entry["size"], "{}", len(REGIONS), number, *cells])
    return 12


def via_version_3(root: Path) -> int:
    photos(root, *(f"{name}.png" for name in NAMES))
    shapes: list[tuple[list[float], str]] = [([7, 2, 2, 9, 2, 9, 9], "0"), ([2, 3, 4, 6, 5], "1"), ([3, 8, 6, 3], "1")]
    views = [str(number) for number in range(1, len(NAMES) + 1)]
    content = {
        "project": {"pid": "__VIA_PROJECT_ID__", "data_format_version": "3.1.1", "vid_list": views},
        "attribute": {"1": {"aname": "kind", "type": 4, "options": {"0": "car", "1": "dog"}}},
        "file": {v: {"fid": int(v), "fname": f"{n}.png", "type": 2} for v, n in zip(views, NAMES, strict=True)},
        "view": {v: {"fid_list": [int(v)]} for v in views},
        "metadata": {
            f"{v}_{k}": {"vid": v, "flg": 0, "z": [], "xy": xy, "av": {"1": option}}
            for v in views
            for k, (xy, option) in enumerate(shapes)
        },
    }
    write_json(root / "via.json", content)
    return 12


MAKERS: dict[str, tuple[Maker, ...]] = {
    "coco": (coco_splits, coco_fiftyone, coco_roboflow),
    "labelme": (labelme_beside, labelme_splits, labelme_embedded),
    "labelstudio": (labelstudio_tasks, labelstudio_min, labelstudio_coco),
    "openimages": (openimages_masks, openimages_without_tables, openimages_boxes),
    "voc": (voc_lists, voc_masks, voc_beside),
    "mask_folder": (masks_of_values, masks_of_instances, masks_listed),
    "yolo": (yolo_yaml, yolo_lists, yolo_without_yaml),
    "via": (via_project, via_csv, via_version_3),
}


def copy_a_few(source: Path, root: Path, rng: random.Random, num_photos: int = 4) -> None:
    """Up to so many photos of a folder of real ones, the files named after them, and the files about all."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    stems = {path.stem for path in files if path.suffix.lower() in IMAGE_EXTENSIONS}
    photos = sorted(stem for stem in stems if not any(stem.startswith(f"{other}_") for other in stems))
    chosen = tuple(rng.sample(photos, min(num_photos, len(photos))))
    for path in files:
        if path.stem.startswith(chosen) or not path.stem.startswith(tuple(photos)):
            target = root / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            if path.parent.name == "annotations" and path.suffix == ".json":
                _keep_images(target, chosen)


def _keep_images(file: Path, stems: tuple[str, ...]) -> None:
    """Of a COCO json."""
    coco = json.loads(file.read_text())
    if "images" not in coco:
        return
    kept = [image["id"] for image in coco["images"] if Path(image["file_name"]).stem in stems]
    file.write_text(json.dumps(select_images(coco, kept or [coco["images"][0]["id"]])))
