"""Picture the audit page: python docs/site/picture_of_audit.py writes docs/audit_page.png; needs chromium.

The data are 60 generated shapes with faults of the kinds that people's labels have: copies, a second spelling of a
category, boxes without masks, an object labelled twice, an image that is missing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

import instseg

PICTURE = Path(__file__).parents[1] / "audit_page.png"
NUM_IMAGES = "dataset.num_images={train: 60, val: 1, test: 1}"
WIDTH, HEIGHT, GAP = 800, 1100, 4
"""Of each of the two parts of the page that are shown side by side, px."""
ONLY_WARNINGS = "<style>main > :not(#warning) { display: none } #warning h2 { margin-top: 0 }</style>"


def make_labels(folder: Path) -> None:
    """Write generated shapes as a COCO dataset, and spoil some of it."""
    instseg.train(
        NUM_IMAGES, "dataset.image_side_px=[160,240]", "trainer.max_epochs=1", "trainer.limit_train_batches=1",
        "trainer=cpu", "batch_size=1", "callbacks.progress=null", "audit.accept=[no_instances_val]",
    )  # fmt: skip
    made = next(Path("data").glob("shapes_*"))
    shutil.copytree(made / "train", folder / "images")
    labels = json.loads(next(made.rglob("*train*.json")).read_text())
    images, shapes = labels["images"], labels["annotations"]
    labels["categories"].append({"id": 9, "name": "Disc"})
    for shape in [shape for shape in shapes if shape["category_id"] == 1][:7]:
        shape["category_id"] = 9
    for number, shape in enumerate(shapes[20:26]):
        shapes.append({**shape, "id": 9000 + number})
    for shape in shapes[40:44]:
        shape["segmentation"] = []
    for number, image in enumerate(images[:3]):
        copy = {**image, "id": 9000 + number, "file_name": f"copy_{number}.png"}
        shutil.copy(folder / "images" / image["file_name"], folder / "images" / copy["file_name"])
        images.append(copy)
        own = [shape for shape in shapes if shape["image_id"] == image["id"]]
        shapes += [{**shape, "id": 10 * shape["id"] + 10**6, "image_id": copy["id"]} for shape in own]
    (folder / "images" / images[30]["file_name"]).unlink()
    (folder / "labels.json").write_text(json.dumps(labels))


def main() -> None:
    """Make the labels, audit them and picture the page."""
    with TemporaryDirectory() as scratch:
        os.chdir(scratch)
        make_labels(Path("my_folder"))
        page = instseg.audit("dataset=auto", "dataset.root=my_folder", "model=small").folder / "audit.html"
        text = page.read_text(encoding="utf-8")
        (below := page.with_name("below.html")).write_text(text + ONLY_WARNINGS, encoding="utf-8")
        halves = [picture_of(page), picture_of(below)]
        both = Image.new("RGB", (2 * WIDTH + GAP, HEIGHT), "#dde1e8")
        for number, half in enumerate(halves):
            both.paste(half, (number * (WIDTH + GAP), 0))
        both.quantize(200).save(PICTURE, optimize=True)


def picture_of(page: Path) -> Image.Image:
    """Return the upper part of a page as a browser shows it."""
    file = page.with_suffix(".png")
    subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         f"--window-size={WIDTH},{HEIGHT + 200}", f"--screenshot={file}", page.absolute().as_uri()],
        check=True, capture_output=True,
    )  # fmt: skip
    with Image.open(file) as picture:
        return picture.convert("RGB").crop((0, 0, WIDTH, HEIGHT))


if __name__ == "__main__":
    main()
