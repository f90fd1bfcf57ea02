"""Claim: masks become polygons of as few points as people draw, at a mask IoU of 0.98 or more.

    python benchmarks/polygons.py                                            # generated shapes
    python benchmarks/polygons.py --labels fruits/ --predictions out/predictions.json

Masks are those of the labels, drawn at full size; the same as the mask head of a network can show them at best, 28 x 28
cells in their box, stretched and cut at a half; and, of a trained model, those that ``predict.py save=coco`` wrote. The
other side are people, where a file has their polygons, and OpenCV's approxPolyDP with a tolerance of a pixel, on the
contours that findContours gives. Fewer points are better, as a person drags them; every IoU is that of the polygons
drawn again with the mask.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from comparing import Row, figure, main, parser
from instseg.core.masks import bitmask_to_rle, polygons_to_rle, rle_to_bitmask, rle_to_box, segmentation_to_rle
from instseg.core.polygons import MIN_IOU, bitmask_to_polygons
from instseg.core.types import Bitmask, Polygon
from instseg.data.builtin.shapes import prepare_shapes
from instseg.data.formats.auto import FORMATS, recognise_format
from instseg.data.reading.coco_text import whole
from instseg.data.reading.findings import Findings
from instseg.data.reading.images import read_image_header

HEAD_SIZE = 28

Convert = Callable[[Bitmask], list[Polygon]]


def labelled_masks(root: Path) -> tuple[list[Bitmask], list[int]]:
    """The masks of labels of any format, and the points of the polygons that they were drawn with."""
    findings: defaultdict[str, Findings] = defaultdict(Findings)
    reader = FORMATS[recognise_format(root)[0]][1]
    masks, points = [], []
    for labels in reader(root).read(findings).values():  # type: ignore[call-arg]
        files = {image["id"]: labels.image_root / image["file_name"] for image in labels.coco["images"]}
        sizes = {image_id: read_image_header(file).displayed_size for image_id, file in files.items()}
        for annotation in labels.coco["annotations"]:
            segmentation = whole(annotation)["segmentation"]
            masks.append(rle_to_bitmask(segmentation_to_rle(segmentation, sizes[annotation["image_id"]])))
            if isinstance(segmentation, list):
                points.append(sum(len(part) for part in segmentation) // 2)
    return masks, points


def predicted_masks(file: Path) -> list[Bitmask]:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(file))
        return [coco.annToMask(annotation) for annotation in coco.dataset["annotations"]]


def of_a_head(mask: Bitmask) -> Bitmask:
    """The mask as a network's head has it."""
    x1, y1, x2, y2 = (int(v) for v in rle_to_box(bitmask_to_rle(mask)))
    cells = cv2.resize(mask[y1:y2, x1:x2].astype(np.float32), (HEAD_SIZE, HEAD_SIZE), interpolation=cv2.INTER_AREA)
    stretched = np.zeros_like(mask)
    stretched[y1:y2, x1:x2] = cv2.resize(cells, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR) >= 0.5
    return stretched


def approx_poly_dp(mask: Bitmask) -> list[Polygon]:
    """The lines that everybody writes; a contour of OpenCV runs through the middle of the pixels."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    simple = [np.asarray(cv2.approxPolyDP(c, 1.0, True)[:, 0], np.float64) + 0.5 for c in contours]
    return [polygon for polygon in simple if len(polygon) >= 3]


def measured(masks: Sequence[Bitmask], convert: Convert) -> tuple[float, str]:
    """The median of the points, and points, IoU and time in words."""
    start = time.perf_counter()
    converted = [convert(mask) for mask in masks]
    milliseconds = (time.perf_counter() - start) * 1000 / len(masks)
    points = [sum(len(part) for part in polygons) for polygons in converted]
    ious = [iou(polygons, mask) for polygons, mask in zip(converted, masks, strict=True)]
    words = f"{np.median(points):.0f} points, IoU {np.median(ious):.3f}, lowest {min(ious):.3f}"
    return float(np.median(points)), f"{words}, {milliseconds:.0f} ms"


def iou(polygons: Sequence[Polygon], mask: Bitmask) -> float:
    if not polygons:
        return 0.0
    drawn = polygons_to_rle(polygons, (mask.shape[0], mask.shape[1]))
    return float(coco_mask.iou([drawn], [bitmask_to_rle(mask)], [0])[0, 0])


def rows_of(what: str, masks: Sequence[Bitmask]) -> Iterator[Row]:
    masks = [mask for mask in masks if mask.any()]
    own, words = measured(masks, bitmask_to_polygons)
    other, others_words = measured(masks, approx_poly_dp)
    against, goal = f"approxPolyDP, 1 px: {others_words}", f"20 points or fewer, IoU {MIN_IOU} or more"
    ratio = other / own
    yield Row(f"{what}, {len(masks):,} masks", words, against, ratio, ratio, ratio, goal, "")


def measure(arguments: argparse.Namespace) -> Iterator[Row]:
    with TemporaryDirectory() as scratch:
        num_images = {"train": 1, "val": 1, "test": 20 if arguments.quick else 200}
        labels = arguments.labels or prepare_shapes(Path(scratch), num_images=num_images)
        masks, points = labelled_masks(labels)
    if arguments.labels and points:
        yield figure(f"{len(points):,} polygons that people drew", f"{np.median(points):.0f} points")
    yield from rows_of("labels, drawn at full size", masks)
    yield from rows_of(f"the same at {HEAD_SIZE} x {HEAD_SIZE}", [of_a_head(mask) for mask in masks])
    if arguments.predictions:
        yield from rows_of("predictions of a trained model", predicted_masks(arguments.predictions))


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--labels", type=Path, help="a folder of labels of any format, instead of generated ones")
    options.add_argument("--predictions", type=Path, help="predictions.json of predict.py")
    main(__doc__, measure, options)
