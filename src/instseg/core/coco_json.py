"""Predictions and ground truth as COCO json, for pycocotools and every other tool that reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from instseg import __version__
from instseg.core.categories import Categories
from instseg.core.masks import rle_area
from instseg.core.types import CocoAnnotation, CocoDict, CocoImage, ImageSize, Prediction, Rle


class RleText(TypedDict):
    """Compressed run-length mask with its counts as text, as json needs it."""

    size: list[int]  # height, width
    counts: str


def predictions_to_coco(
    predictions: Iterable[Prediction],
    file_names: Mapping[int, str],
    categories: Categories,
    category_ids: Mapping[int, int] | None = None,
) -> CocoDict:
    """Convert predictions to a COCO dataset whose annotations have scores.

    Each has image_id, category_id, bbox (x, y, width, height in px), score, segmentation (RLE, counts as text), area of
    the mask. As results for ``COCO.loadRes`` they are without bbox, which would decide on the sizes of the masks.

    Args:
        predictions: in the original frame.
        file_names: image_id -> file name, of every predicted image.
        categories: names of the labels.
        category_ids: label -> category id of another json; None keeps the labels as ids.
    """
    images: list[CocoImage] = []
    annotations: list[CocoAnnotation] = []
    for prediction in predictions:
        images.append(_image_entry(prediction.image_id, file_names[prediction.image_id], prediction.image_size))
        for index in range(len(prediction)):
            label, rle = int(prediction.labels[index]), prediction.rles[index]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": prediction.image_id,
                    "category_id": category_ids[label] if category_ids else label,
                    "bbox": _xywh(prediction.boxes[index]),
                    "score": round(float(prediction.scores[index]), 6),
                    "segmentation": _rle_as_text(rle),
                    "area": rle_area(rle),
                    "iscrowd": 0,
                }
            )
    return _coco(images, annotations, categories, category_ids)


def _coco(
    images: list[CocoImage],
    annotations: list[CocoAnnotation],
    categories: Categories,
    category_ids: Mapping[int, int] | None,
) -> CocoDict:
    entries = categories.to_coco()
    if category_ids:
        entries = [{"id": category_ids[entry["id"]], "name": entry["name"]} for entry in entries]
    info = {"description": "written by instseg", "version": __version__}
    return {"info": info, "images": images, "categories": entries, "annotations": annotations}


def _image_entry(image_id: int, file_name: str, image_size: ImageSize) -> CocoImage:
    return {"id": image_id, "file_name": file_name, "height": image_size[0], "width": image_size[1]}


def _xywh(box: NDArray[np.floating]) -> list[float]:
    """Convert xyxy (4,), rounded to a hundredth of a pixel to keep the file small."""
    x1, y1, x2, y2 = (float(v) for v in box)
    return [round(x1, 2), round(y1, 2), round(x2 - x1, 2), round(y2 - y1, 2)]


def _rle_as_text(rle: Rle) -> RleText:
    return {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}


CSV_COLUMNS = (
    *("file", "image_width_px", "image_height_px", "category", "score"),
    *("x1_px", "y1_px", "x2_px", "y2_px", "mask_area_px"),
)


def prediction_rows(prediction: Prediction, file_name: str, categories: Categories) -> Iterator[dict[str, str | float]]:
    """Yield a row of CSV_COLUMNS for each instance, in the order of the prediction: best score first.

    Args:
        prediction: in the original frame.
        file_name: of the image, for the first column.
        categories: names of the labels.
    """
    height, width = prediction.image_size
    for index in range(len(prediction)):
        x1, y1, x2, y2 = (round(float(v), 2) for v in prediction.boxes[index])
        values = (
            *(file_name, width, height, categories.name(int(prediction.labels[index]))),
            *(round(float(prediction.scores[index]), 6), x1, y1, x2, y2, round(rle_area(prediction.rles[index]))),
        )
        yield dict(zip(CSV_COLUMNS, values, strict=True))
