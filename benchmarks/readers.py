"""Claim: every label format is read and indexed at hundreds of images a second and core, and opened again at once.

    python benchmarks/readers.py

A folder is made for each format with the same images (links to one 640x480 JPEG) and the same five instances on each.
A process of its own reads it and builds the index, groups of similar images left out, then opens it again. Everything
comes from this machine's file cache.
"""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from processes import apart, cost

from comparing import Row, figure, main
from instseg.data.formats.auto import FORMATS
from instseg.data.prepared import PreparedDataset
from instseg.data.sources import folder

WIDTH, HEIGHT, NUM_INSTANCES, NUM_POINTS = 640, 480, 5, 24
NAMES = ("car", "dog")


def polygon(number: int) -> NDArray[np.float64]:
    """(24, 2) of an ellipse; the instances of an image do not touch."""
    angles = np.linspace(0, 2 * np.pi, NUM_POINTS, endpoint=False)
    return np.stack([70 + 125 * number + 50 * np.cos(angles), 240 + 80 * np.sin(angles)], axis=1).round(2)


POLYGONS = [polygon(number) for number in range(NUM_INSTANCES)]


def name_of(number: int) -> str:
    return NAMES[number % len(NAMES)]


def write_photos(folder: Path, num_images: int) -> list[str]:
    """Links to one file: 20,000 real ones would take gigabytes and measure the disk."""
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((WIDTH, HEIGHT)).save(folder / "photo.jpg", quality=80)
    names = [f"{i:06d}.jpg" for i in range(num_images)]
    for name in names:
        os.link(folder / "photo.jpg", folder / name)
    (folder / "photo.jpg").unlink()
    return names


def write_mask(path: Path) -> None:
    """Indexed: instance k has the value k."""
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number in range(NUM_INSTANCES):
        mask[((x - 70 - 125 * number) / 50) ** 2 + ((y - 240) / 80) ** 2 <= 1] = number + 1
    picture = Image.fromarray(mask, mode="P")
    picture.putpalette([value for k in range(256) for value in (k * 37 % 256, k * 91 % 256, k * 53 % 256)])
    picture.save(path)


def make_coco(root: Path, num_images: int) -> None:
    names = write_photos(root / "data", num_images)
    images = [{"id": i, "file_name": n, "width": WIDTH, "height": HEIGHT} for i, n in enumerate(names)]
    annotations = [
        {"id": i * NUM_INSTANCES + k, "image_id": i, "category_id": k % 2 + 1, "segmentation": [o.reshape(-1).tolist()]}
        for i in range(num_images)
        for k, o in enumerate(POLYGONS)
    ]
    categories = [{"id": i, "name": n} for i, n in enumerate(NAMES, start=1)]
    (root / "labels.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )


def make_labelme(root: Path, num_images: int) -> None:
    shapes = [{"label": name_of(k), "points": o.tolist(), "shape_type": "polygon"} for k, o in enumerate(POLYGONS)]
    for name in write_photos(root, num_images):
        content: dict[str, Any] = {"version": "5.5.0", "shapes": shapes, "imagePath": name, "imageData": None}
        content |= {"imageHeight": HEIGHT, "imageWidth": WIDTH}
        (root / name).with_suffix(".json").write_text(json.dumps(content))


def make_labelstudio(root: Path, num_images: int) -> None:
    scale = np.array([100 / WIDTH, 100 / HEIGHT])
    results = [
        {
            "id": f"r{k}",
            "type": "polygonlabels",
            "from_name": "label",
            "to_name": "image",
            "original_width": WIDTH,
            "original_height": HEIGHT,
            "value": {"points": (o * scale).tolist(), "closed": True, "polygonlabels": [name_of(k)]},
        }
        for k, o in enumerate(POLYGONS)
    ]
    tasks = [
        {"id": i, "data": {"image": f"/data/upload/1/{name}"}, "annotations": [{"id": i, "result": results}]}
        for i, name in enumerate(write_photos(root / "images", num_images))
    ]
    (root / "export.json").write_text(json.dumps(tasks))


def make_voc(root: Path, num_images: int) -> None:
    boxes = [(o.min(axis=0).astype(int) + 1, o.max(axis=0).astype(int)) for o in POLYGONS]
    objects = "".join(
        f"<object><name>{name_of(k)}</name><bndbox><xmin>{a[0]}</xmin><ymin>{a[1]}</ymin>"
        f"<xmax>{b[0]}</xmax><ymax>{b[1]}</ymax></bndbox></object>"
        for k, (a, b) in enumerate(boxes)
    )
    (root / "Annotations").mkdir(parents=True)
    for name in write_photos(root / "JPEGImages", num_images):
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{name}</filename>{size}{objects}</annotation>"
        (root / "Annotations" / name).with_suffix(".xml").write_text(text)


def make_mask_folder(root: Path, num_images: int) -> None:
    write_mask(root / "masks/mask.png")
    for name in write_photos(root / "images", num_images):
        os.link(root / "masks/mask.png", (root / "masks" / name).with_suffix(".png"))
    (root / "masks/mask.png").unlink()


def make_openimages(root: Path, num_images: int) -> None:
    mids = ("/m/0k4j", "/m/0bt9lr")
    rows = ["MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"]
    (root / "masks/train").mkdir(parents=True)
    for k, points in enumerate(POLYGONS):
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
        inside = ((x - (x1 + x2) / 2) / 50) ** 2 + ((y - (y1 + y2) / 2) / 80) ** 2 <= 1
        Image.fromarray(inside).save(root / f"masks/{k}.png")
    for name in write_photos(root / "images/train", num_images):
        image_id = name.removesuffix(".jpg")
        for k in range(NUM_INSTANCES):
            mid = mids[k % 2]
            path = f"{image_id}_{mid.replace('/', '')}_{k:08x}.png"
            os.link(root / f"masks/{k}.png", root / "masks/train" / path)
            rows.append(f"{path},{image_id},{mid},{k:08x},0.1,0.2,0.3,0.4,0.9,")
    for k in range(NUM_INSTANCES):
        (root / f"masks/{k}.png").unlink()
    (root / "annotations").mkdir()
    (root / "annotations/train-annotations-object-segmentation.csv").write_text("\n".join(rows) + "\n")
    (root / "annotations/oidv7-class-descriptions-boxable.csv").write_text(
        "LabelName,DisplayName\n" + "".join(f"{mid},{name}\n" for mid, name in zip(mids, NAMES, strict=True))
    )


def make_yolo(root: Path, num_images: int) -> None:
    scale = np.array([1 / WIDTH, 1 / HEIGHT])
    lines = [f"{k % 2} " + " ".join(f"{v:.6f}" for v in (o * scale).reshape(-1)) for k, o in enumerate(POLYGONS)]
    (root / "labels").mkdir(parents=True)
    for name in write_photos(root / "images", num_images):
        (root / "labels" / name).with_suffix(".txt").write_text("\n".join(lines) + "\n")
    (root / "data.yaml").write_text("path: .\ntrain: images\nnames: {0: car, 1: dog}\n")


def make_via(root: Path, num_images: int) -> None:
    regions = [
        {
            "shape_attributes": {"name": "polygon", "all_points_x": o[:, 0].tolist(), "all_points_y": o[:, 1].tolist()},
            "region_attributes": {"class": name_of(k)},
        }
        for k, o in enumerate(POLYGONS)
    ]
    content = {
        f"{name}-1": {"filename": name, "size": -1, "regions": regions, "file_attributes": {}}
        for name in write_photos(root, num_images)
    }
    (root / "via_region_data.json").write_text(json.dumps(content))


MAKERS: dict[str, Callable[[Path, int], None]] = {
    "coco": make_coco,
    "labelme": make_labelme,
    "labelstudio": make_labelstudio,
    "openimages": make_openimages,
    "voc": make_voc,
    "mask_folder": make_mask_folder,
    "yolo": make_yolo,
    "via": make_via,
}


def prepare(name: str, root: Path) -> PreparedDataset:
    options: dict[str, Any] = {"group_by": None, "cache_dir": str(root.parent / f"cache_{name}")}
    return folder(name=name, reader=FORMATS[name][1], root=str(root), **options)


def costs(name: str, root: Path) -> tuple[int, float, float, float]:
    """Number of instances; seconds and MB of the first time, seconds of the second."""
    (seconds, megabytes), (again, _) = (cost(lambda: prepare(name, root)) for _ in range(2))
    splits = {index.folder: index for index in prepare(name, root).indices.values()}  # test may be the val images
    return sum(index.num_instances for index in splits.values()), seconds, megabytes, again


def measure(arguments: Namespace) -> Iterator[Row]:
    num_images = 1_000 if arguments.quick else 5_000
    for name, make in MAKERS.items():
        with TemporaryDirectory() as scratch:
            make(Path(scratch) / name, num_images)
            num_instances, seconds, megabytes, again = apart(costs, name, Path(scratch) / name)
        if num_instances != num_images * NUM_INSTANCES:
            raise SystemExit(f"{name}: {num_instances} instances, expected {num_images * NUM_INSTANCES}")
        found = f"{num_images / seconds:.0f} images/s, RSS +{megabytes:.0f} MB; again {again:.2f} s"
        yield figure(
            f"reading {name}, {num_images} images x {NUM_INSTANCES}", found, agree=f"all {num_instances} instances"
        )


if __name__ == "__main__":
    main(__doc__, measure)
