"""Claim: every label format is read at thousands of images a second, in memory that grows with the labels alone.

    python benchmarks/readers.py --images 20000

A folder is made for each format with the same photos (links to one 640x480 JPEG) and the same five instances on each.
A process of its own reads it and builds the index (``build``, groups of similar photos left out), which is how the
peak of its resident memory is told from the others', then opens it again (``reopen``). Everything runs on this
machine's file cache.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from instseg.data.formats.auto import FORMATS
from instseg.data.sources import folder

WIDTH, HEIGHT, NUM_INSTANCES, NUM_POINTS = 640, 480, 5, 24
NAMES = ("car", "dog")


def outline(number: int) -> NDArray[np.float64]:
    """(24, 2) of an ellipse; the instances of an image do not touch."""
    angles = np.linspace(0, 2 * np.pi, NUM_POINTS, endpoint=False)
    return np.stack([70 + 125 * number + 50 * np.cos(angles), 240 + 80 * np.sin(angles)], axis=1).round(2)


OUTLINES = [outline(number) for number in range(NUM_INSTANCES)]


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
        for k, o in enumerate(OUTLINES)
    ]
    categories = [{"id": i, "name": n} for i, n in enumerate(NAMES, start=1)]
    (root / "labels.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )


def make_labelme(root: Path, num_images: int) -> None:
    shapes = [{"label": name_of(k), "points": o.tolist(), "shape_type": "polygon"} for k, o in enumerate(OUTLINES)]
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
        for k, o in enumerate(OUTLINES)
    ]
    tasks = [
        {"id": i, "data": {"image": f"/data/upload/1/{name}"}, "annotations": [{"id": i, "result": results}]}
        for i, name in enumerate(write_photos(root / "images", num_images))
    ]
    (root / "export.json").write_text(json.dumps(tasks))


def make_voc(root: Path, num_images: int) -> None:
    boxes = [(o.min(axis=0).astype(int) + 1, o.max(axis=0).astype(int)) for o in OUTLINES]
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
    for k, points in enumerate(OUTLINES):
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
    lines = [f"{k % 2} " + " ".join(f"{v:.6f}" for v in (o * scale).reshape(-1)) for k, o in enumerate(OUTLINES)]
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
        for k, o in enumerate(OUTLINES)
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


def measure(name: str, root: Path) -> dict[str, float]:
    """In a process of its own, forked before anything was read."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(name, root, sender))
    process.start()
    sender.close()
    result: dict[str, float] = receiver.recv()
    process.join()
    return result


def _read(name: str, root: Path, sender: Connection) -> None:
    before_mb = _resident_mb()
    options: dict[str, Any] = {"group_by": None, "cache_dir": str(root.parent / f"cache_{name}")}
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        dataset = folder(name=name, reader=FORMATS[name][1], root=str(root), **options)
        seconds.append(time.perf_counter() - start)
    splits = {index.folder: index for index in dataset.indices.values()}.values()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sender.send(
        {
            "images": sum(map(len, splits)),
            "instances": sum(index.num_instances for index in splits),
            "build_seconds": seconds[0],
            "reopen_seconds": seconds[1],
            "memory_mb": peak_mb - before_mb,
        }
    )


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--formats", nargs="+", choices=list(MAKERS), default=list(MAKERS))
    parser.add_argument("--results", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    lines = [
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"NumPy {version('numpy')}, Pillow {version('pillow')}, pycocotools {version('pycocotools')}",
        f"{arguments.images} images of 640x480, {NUM_INSTANCES} instances each",
        "",
        f"{'format':<12} {'images/s':>9} {'build s':>8} {'reopen s':>9} {'memory MB':>10} {'instances':>10}",
    ]
    for name in arguments.formats:
        scratch = Path(tempfile.mkdtemp())
        try:
            MAKERS[name](scratch / name, arguments.images)
            found = measure(name, scratch / name)
        finally:
            shutil.rmtree(scratch)
        if found["instances"] != arguments.images * NUM_INSTANCES:
            raise SystemExit(f"{name}: {found['instances']} instances, expected {arguments.images * NUM_INSTANCES}")
        lines.append(
            f"{name:<12} {found['images'] / found['build_seconds']:>9.0f} {found['build_seconds']:>8.1f} "
            f"{found['reopen_seconds']:>9.2f} {found['memory_mb']:>10.0f} {found['instances']:>10.0f}"
        )
        print(lines[-1], flush=True)
    print("\n".join(lines))
    if arguments.results:
        arguments.results.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
