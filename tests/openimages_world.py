"""A small Open Images with the addresses, tables and archives of the official servers, and tiny photos and masks."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections import defaultdict
from dataclasses import dataclass

import factories
import numpy as np
from PIL import Image

MIDS = {"Cat": "/m/01yrx", "Dog": "/m/0bt9lr", "Human eye": "/m/014sv8", "Tortoise": "/m/011k07"}
HEADER = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"
BOX_HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
CATS = {"train": 60, "validation": 20, "test": 20}  # images of each split that show a cat; as many show only a dog
CLASSES = "/v7/oidv7-class-descriptions-boxable.csv"
TRAIN = "/v5/train-annotations-object-segmentation.csv"
SPLITS = tuple(CATS)


@dataclass(frozen=True)
class OpenImagesWorld:
    """What the server serves: each photo, each mask, and the rows about them."""

    photos: dict[str, bytes]  # address -> JPEG
    masks: dict[str, bytes]  # MaskPath -> PNG
    rows: dict[str, list[str]]  # official split -> rows


def png(seed: int) -> bytes:
    """(30, 40), 1 bit and of another size than the photos, as the official ones are; no two are the same."""
    bitmask = np.zeros((30, 40), dtype=bool)
    bitmask[6:24, 4:36] = np.random.default_rng(seed).random((18, 32)) < 0.9
    buffer = io.BytesIO()
    Image.fromarray(bitmask).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(factories.make_picture((24, 32), seed)).save(buffer, "JPEG")
    return buffer.getvalue()


def make_world() -> OpenImagesWorld:
    """Every image with a cat has two; every other one of them has a dog as well."""
    photos, masks, rows = {}, {}, defaultdict(list)
    for split, number in CATS.items():
        for i in range(2 * number):
            image_id = hashlib.sha256(f"{split}{i}".encode()).hexdigest()[:16]
            photos[f"/{split}/{image_id}.jpg"] = jpeg(i)
            for box, name in enumerate(["Dog"] if i >= number else ["Cat", "Cat", "Dog"][: 2 + i % 2]):
                mask_path = f"{image_id}_{MIDS[name][1:].replace('/', '')}_{box:08x}.png"
                masks[mask_path] = png(i * 3 + box)
                rows[split].append(
                    f"{mask_path},{image_id},{MIDS[name]},{box:08x},0.{box + 1},0.9,0.2,0.8,0.9,0.5 0.5 1"
                )
    return OpenImagesWorld(photos, masks, dict(rows))


def official_files(world: OpenImagesWorld) -> dict[str, bytes]:
    """Address -> content of everything that the servers have."""
    return {**tables(world), **world.photos, **archives(world)}


def archives(world: OpenImagesWorld) -> dict[str, bytes]:
    """One for each first digit of the image ids, also where there is none."""
    found = {}
    for split in SPLITS:
        paths = [row.partition(",")[0] for row in world.rows[split]]
        for digit in "0123456789abcdef":
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in paths:
                    if path[0] == digit:
                        archive.writestr(path, world.masks[path])
            found[f"/v5/{split}-masks/{split}-masks-{digit}.zip"] = buffer.getvalue()
    return found


def tables(world: OpenImagesWorld) -> dict[str, bytes]:
    """Masks and boxes of each split, and the lists of classes, of which all but the eye have masks."""
    text = {f"/v5/{split}-annotations-object-segmentation.csv": [HEADER, *rows] for split, rows in world.rows.items()}
    for split, rows in world.rows.items():
        name = "v6/oidv6-train" if split == "train" else f"v5/{split}"
        cells = [row.split(",") for row in rows]
        boxes = [f"{c[1]},xclick,{c[2]},1,{','.join(c[4:8])},0,0,0,0,0" for c in cells]
        text[f"/{name}-annotations-bbox.csv"] = [BOX_HEADER, *boxes]
    text[CLASSES] = [f"{mid},{name}" for name, mid in MIDS.items()]
    text["/v7/oidv7-classes-segmentation.txt"] = [MIDS["Cat"], MIDS["Dog"], MIDS["Tortoise"]]
    return {path: "".join(f"{line}\n" for line in lines).encode() for path, lines in text.items()}
