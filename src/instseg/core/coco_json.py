"""Predictions and ground truth in COCO's json form, for pycocotools and every other tool that reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from instseg import __version__
from instseg.core.categories import Categories
from instseg.core.masks import rle_area
from instseg.core.types import CocoDict, GroundTruth, ImageSize, Prediction, Rle


def predictions_to_coco(
    predictions: Iterable[Prediction],
    file_names: Mapping[int, str],
    categories: Categories,
    category_ids: Mapping[int, int] | None = None,
) -> CocoDict:
    """One dictionary that is both a COCO data set and COCO results.

    ``COCO(path)`` reads the whole; its ``annotations`` list alone is what ``COCO.loadRes`` and evaluation servers
    take: image_id, category_id, bbox (x, y, width, height in px), score, segmentation (RLE, counts as text).

    Args:
        predictions: in the original frame.
        file_names: image_id -> file name, of every predicted image.
        category_ids: label -> category id, where the ids of another json are wanted; None: the labels.
    """
    images: list[Any] = []
    annotations: list[Any] = []
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


def ground_truth_to_coco(
    truths: Iterable[GroundTruth],
    file_names: Mapping[int, str],
    categories: Categories,
    category_ids: Mapping[int, int] | None = None,
) -> CocoDict:
    """A COCO data set with every mask as RLE, areas as annotated, crowds marked; arguments as above."""
    images: list[Any] = []
    annotations: list[Any] = []
    for truth in truths:
        images.append(_image_entry(truth.image_id, file_names[truth.image_id], truth.image_size))
        for index in range(len(truth)):
            label = int(truth.labels[index])
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": truth.image_id,
                    "category_id": category_ids[label] if category_ids else label,
                    "bbox": _xywh(truth.boxes[index]),
                    "segmentation": _rle_as_text(truth.rles[index]),
                    "area": float(truth.areas[index]),
                    "iscrowd": int(truth.iscrowd[index]),
                }
            )
    return _coco(images, annotations, categories, category_ids)


def _coco(
    images: list[Any], annotations: list[Any], categories: Categories, category_ids: Mapping[int, int] | None
) -> CocoDict:
    entries = categories.to_coco()
    if category_ids:
        entries = [{"id": category_ids[entry["id"]], "name": entry["name"]} for entry in entries]
    info = {"description": "written by instseg", "version": __version__}
    return {"info": info, "images": images, "categories": entries, "annotations": annotations}


def _image_entry(image_id: int, file_name: str, image_size: ImageSize) -> dict[str, Any]:
    return {"id": image_id, "file_name": file_name, "height": image_size[0], "width": image_size[1]}


def _xywh(box: Any) -> list[float]:
    """To a hundredth of a pixel, which no one can see and which keeps the file small."""
    x1, y1, x2, y2 = (float(v) for v in box)
    return [round(x1, 2), round(y1, 2), round(x2 - x1, 2), round(y2 - y1, 2)]


def _rle_as_text(rle: Rle) -> dict[str, Any]:
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts}


CSV_COLUMNS = (
    *("file", "image_width_px", "image_height_px", "category", "score"),
    *("x1_px", "y1_px", "x2_px", "y2_px", "mask_area_px"),
)


def prediction_rows(prediction: Prediction, file_name: str, categories: Categories) -> Iterator[dict[str, Any]]:
    """One row of CSV_COLUMNS for each instance, best score first as in the prediction."""
    height, width = prediction.image_size
    for index in range(len(prediction)):
        x1, y1, x2, y2 = (round(float(v), 2) for v in prediction.boxes[index])
        values = (
            *(file_name, width, height, categories.name(int(prediction.labels[index]))),
            *(round(float(prediction.scores[index]), 6), x1, y1, x2, y2, round(rle_area(prediction.rles[index]))),
        )
        yield dict(zip(CSV_COLUMNS, values, strict=True))
